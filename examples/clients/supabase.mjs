// @supabase/supabase-js with Freehold: node supabase.mjs URL KEY OTHER_TENANTS_KEY
import assert from 'node:assert/strict'
import { createClient } from '@supabase/supabase-js'
import { films, fine } from './films.mjs'

const [, , url, key, otherKey] = process.argv
// Before Node 22 the package wants to be told of a WebSocket, though nothing here opens one.
const realtime = globalThis.WebSocket ? {} : { transport: class {} }
const client = (key) => createClient(url, key, { realtime, auth: { persistSession: false, autoRefreshToken: false } })

const supabase = client(key)
await films(supabase, client(otherKey))

// What else it does without a session: it sends its key twice, and a schema.
fine(await supabase.schema('public').from('film').select())
assert.equal((await supabase.schema('secret').from('film').select()).error.code, 'PGRST106')
assert.equal((await client('fh_wrong').from('film').select()).status, 401)
console.log('all as it should be')
