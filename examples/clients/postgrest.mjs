// @supabase/postgrest-js with Freehold: node postgrest.mjs URL KEY OTHER_TENANTS_KEY
import assert from 'node:assert/strict'
import { PostgrestClient } from '@supabase/postgrest-js'
import { films, fine } from './films.mjs'

const [, , url, key, otherKey] = process.argv
const client = (key, options) => new PostgrestClient(`${url}/rest/v1`, { headers: { Authorization: `Bearer ${key}` }, ...options })

await films(client(key), client(otherKey))

// A schema by name: the one there is, also under the name clients give it.
fine(await client(key, { schema: 'public' }).from('film').select())
assert.equal((await client(key, { schema: 'secret' }).from('film').select()).error.code, 'PGRST106')
assert.equal((await client('fh_wrong').from('film').select()).status, 401)

// What is tried and undone, and what is held to a number of rows.
const tried = await client(key).from('director').insert({ name: 'Nobody' }).rollback().select('name')
assert.deepEqual([tried.status, tried.data], [201, [{ name: 'Nobody' }]])
assert.deepEqual(fine(await client(key).from('director').select().eq('name', 'Nobody')), [])
const most = await client(key).from('director').delete().gt('name', '').maxAffected(1)
assert.deepEqual([most.status, most.error.code], [400, 'PGRST124'])
console.log('all as it should be')
