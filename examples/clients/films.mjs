// What a client of PostgREST does with Freehold, whichever of the two packages it comes from.
import assert from 'node:assert/strict'

export const fine = (answer) => {
  assert.equal(answer.error, null, JSON.stringify(answer.error))
  return answer.data
}

const refused = (answer, status, code) => {
  assert.deepEqual([answer.status, answer.error?.code], [status, code], JSON.stringify(answer))
  assert.deepEqual(Object.keys(answer.error).sort().filter((key) => key !== 'name'), ['code', 'details', 'hint', 'message'])
  assert.equal(answer.data, null)
  return answer.error
}

export async function films(client, other) {
  const ids = await writes(client)
  await reads(client)
  await embeds(client)
  await upserts(client, ids)
  await functions(client)
  await errors(client)
  await documents(client)
  await walls(client, other)
  await deletes(client)
}

async function writes(client) {
  // One row without anything back, then with it; `single` takes it out of the list.
  const made = await client.from('director').insert({ name: 'Agnès Varda', country: 'France' })
  assert.deepEqual([made.status, made.statusText, made.data], [201, 'Created', null])
  const lang = fine(await client.from('director').insert({ name: 'Fritz Lang' }).select().single())
  assert.deepEqual(Object.keys(lang).sort(), ['country', 'id', 'name'])
  const varda = fine(await client.from('director').select('id').eq('name', 'Agnès Varda').single())
  // Many rows whose keys differ: the client says them in `columns`, quoted.
  const rows = [
    { slug: 'm', title: 'M', year: 1931, director: lang.id, rating: 8.3, tags: ['crime'], mood: [1, 0, 0] },
    { slug: 'metropolis', title: 'Metropolis', year: 1927, director: lang.id, facts: { length: 153, colours: ['black', 'white'] }, mood: [0.9, 0.1, 0] },
    { slug: 'cleo', title: 'Cléo from 5 to 7', year: 1962, director: varda.id, rating: 7.8, facts: { length: 90 }, mood: [0, 1, 0] },
    { slug: 'unknown', title: 'Nobody knows who made this, "really"', year: 1900 },
  ]
  const many = await client.from('film').insert(rows, { count: 'exact', defaultToNull: false }).select('id,slug,tags')
  assert.equal(many.count, 4)
  assert.deepEqual(fine(many).map((film) => film.tags), [['crime'], [], [], []])
  const ids = Object.fromEntries(many.data.map((film) => [film.slug, film.id]))
  const actors = fine(await client.from('actor').insert([{ name: 'Peter Lorre' }, { name: 'Corinne Marchand' }]).select())
  fine(await client.from('part').insert([
    { film: ids.m, actor: actors[0].id, name: 'Hans Beckert' },
    { film: ids.cleo, actor: actors[1].id, name: 'Cléo' },
  ]))
  // Updates, with the rows and without.
  const rated = await client.from('film').update({ rating: 8.2 }, { count: 'exact' }).eq('slug', 'metropolis')
  assert.deepEqual([rated.status, rated.count, rated.data], [204, 1, null])
  const updated = await client.from('film').update({ seen: true }).in('slug', ['m', 'cleo']).select('slug,director(name)').order('year')
  assert.deepEqual(fine(updated), [
    { slug: 'm', director: { name: 'Fritz Lang' } },
    { slug: 'cleo', director: { name: 'Agnès Varda' } },
  ])
  return ids
}

async function reads(client) {
  const slugs = async (build) => fine(await build(client.from('film').select('slug').order('year'))).map((film) => film.slug)
  const expect = async (wanted, build) => assert.deepEqual(await slugs(build), wanted, String(build))
  await expect(['unknown', 'metropolis', 'm', 'cleo'], (q) => q)
  await expect(['m'], (q) => q.eq('slug', 'm'))
  await expect(['unknown', 'metropolis', 'cleo'], (q) => q.neq('slug', 'm'))
  await expect(['cleo'], (q) => q.gt('year', 1931))
  await expect(['m', 'cleo'], (q) => q.gte('year', 1931))
  await expect(['unknown'], (q) => q.lt('year', 1927))
  await expect(['unknown', 'metropolis'], (q) => q.lte('year', 1927))
  await expect(['metropolis', 'm'], (q) => q.like('slug', 'm%'))
  await expect(['metropolis', 'm'], (q) => q.ilike('title', 'm%'))
  await expect(['m', 'cleo'], (q) => q.likeAnyOf('slug', ['m', 'c%']))
  await expect(['metropolis'], (q) => q.ilikeAllOf('title', ['m%', '%POLIS']))
  await expect(['m', 'cleo'], (q) => q.is('seen', true))
  await expect(['unknown'], (q) => q.is('rating', null))
  await expect(['metropolis', 'm', 'cleo'], (q) => q.not('rating', 'is', null))
  await expect(['m', 'cleo'], (q) => q.in('slug', ['m', 'cleo', 'none, really']))
  await expect([], (q) => q.in('slug', []))
  await expect(['unknown', 'metropolis'], (q) => q.not('slug', 'in', '(m,cleo)'))
  await expect(['m'], (q) => q.contains('tags', ['crime']))
  await expect(['unknown', 'metropolis', 'cleo'], (q) => q.containedBy('tags', []))
  await expect(['m'], (q) => q.overlaps('tags', ['crime', 'comedy']))
  await expect(['cleo'], (q) => q.contains('facts', { length: 90 }))
  await expect(['cleo'], (q) => q.eq('facts->length', 90))
  await expect(['metropolis'], (q) => q.eq('facts->colours->>0', 'black'))
  await expect(['m', 'cleo'], (q) => q.match({ seen: true }))
  await expect(['metropolis', 'cleo'], (q) => q.or('slug.eq.cleo,and(year.gt.1920,year.lt.1930)'))
  await expect(['unknown', 'm'], (q) => q.or('slug.eq.m,title.eq."Nobody knows who made this, \\"really\\""'))
  await expect(['metropolis'], (q) => q.textSearch('title', 'metropolis'))
  await expect(['unknown'], (q) => q.textSearch('title', 'nobody made', { type: 'plain', config: 'english' }))
  await expect(['metropolis', 'm'], (q) => q.filter('slug', 'in', '("m","metropolis")'))
  await expect(['cleo'], (q) => q.eq('title', 'Cléo from 5 to 7'))
  await expect(['metropolis', 'm'], (q) => q.range(1, 2))
  await expect(['unknown'], (q) => q.limit(1))
  // Order, counts, pages.
  const order = fine(await client.from('film').select('slug').order('rating', { ascending: false, nullsFirst: false }).order('slug'))
  assert.deepEqual(order.map((film) => film.slug), ['m', 'metropolis', 'cleo', 'unknown'])
  const page = await client.from('film').select('slug', { count: 'exact' }).order('year').range(1, 2)
  assert.deepEqual([page.status, page.count, page.data.length], [206, 4, 2])
  const head = await client.from('film').select('*', { count: 'exact', head: true }).gt('year', 1920)
  assert.deepEqual([head.status, head.count, head.data], [200, 3, null])
  for (const count of ['planned', 'estimated']) {
    assert.equal((await client.from('film').select('slug', { count })).count, 4)
  }
  // Aliases, casts, paths, aggregates.
  const shaped = client.from('film').select('called:title,year::text,length:facts->length,first:facts->colours->>0').in('year', [1927, 1962])
  assert.deepEqual(fine(await shaped.order('year')), [
    { called: 'Metropolis', year: '1927', length: 153, first: 'black' },
    { called: 'Cléo from 5 to 7', year: '1962', length: 90, first: null },
  ])
  const groups = fine(await client.from('film').select('seen,films:count(),first:year.min()').order('seen'))
  assert.deepEqual(groups, [{ seen: false, films: 2, first: 1900 }, { seen: true, films: 2, first: 1931 }])
  // One row or none.
  assert.equal(fine(await client.from('film').select('year').eq('slug', 'm').single()).year, 1931)
  assert.equal(fine(await client.from('film').select('year').eq('slug', 'm').maybeSingle()).year, 1931)
  assert.equal(fine(await client.from('film').select('year').eq('slug', 'none').maybeSingle()), null)
  const none = refused(await client.from('film').select('year').eq('slug', 'none').single(), 406, 'PGRST116')
  assert.equal(none.details, 'The result contains 0 rows')
  refused(await client.from('film').select('year').maybeSingle(), 406, 'PGRST116')
  // As CSV.
  const csv = fine(await client.from('film').select('slug,title').order('year').limit(2).csv())
  assert.equal(csv, 'slug,title\nunknown,"Nobody knows who made this, ""really"""\nmetropolis,Metropolis')
  // Without what is null.
  if (client.from('film').select().stripNulls) {
    assert.deepEqual(fine(await client.from('film').select('slug,rating').eq('slug', 'unknown').stripNulls()), [{ slug: 'unknown' }])
  }
}

async function embeds(client) {
  const film = (slug) => (q) => q.eq('slug', slug)
  const ask = async (select, build = (q) => q, from = 'film') => fine(await build(client.from(from).select(select)))
  // The row referred to; the rows that refer to it.
  assert.deepEqual(await ask('slug,director(name)', film('unknown')), [{ slug: 'unknown', director: null }])
  assert.deepEqual(await ask('name,film(slug)', (q) => q.eq('name', 'Fritz Lang').order('year', { referencedTable: 'film' }), 'director'), [
    { name: 'Fritz Lang', film: [{ slug: 'metropolis' }, { slug: 'm' }] },
  ])
  assert.deepEqual(await ask('name,films:film(slug)', (q) => q.eq('films.slug', 'm').order('name'), 'director'), [
    { name: 'Agnès Varda', films: [] },
    { name: 'Fritz Lang', films: [{ slug: 'm' }] },
  ])
  assert.deepEqual(await ask('name,film!inner(slug)', (q) => q.eq('film.slug', 'm'), 'director'), [{ name: 'Fritz Lang', film: [{ slug: 'm' }] }])
  assert.deepEqual(await ask('slug,by:director!inner(name)', (q) => q.eq('by.name', 'Agnès Varda')), [{ slug: 'cleo', by: { name: 'Agnès Varda' } }])
  assert.deepEqual(await ask('slug,director()', (q) => q.is('director', null)), [{ slug: 'unknown' }])
  // Over the entity that joins; spread; hints by field and by constraint; counts; limits inside.
  assert.deepEqual(await ask('slug,actor(name)', film('m')), [{ slug: 'm', actor: [{ name: 'Peter Lorre' }] }])
  assert.deepEqual(await ask('name,film(slug)', (q) => q.eq('name', 'Peter Lorre'), 'actor'), [{ name: 'Peter Lorre', film: [{ slug: 'm' }] }])
  assert.deepEqual(await ask('as:name,...actor(name),...film(slug,...director(by:name))', (q) => q.eq('name', 'Cléo'), 'part'), [
    { as: 'Cléo', name: 'Corinne Marchand', slug: 'cleo', by: 'Agnès Varda' },
  ])
  assert.deepEqual(await ask('slug,director!director(name)', film('m')), [{ slug: 'm', director: { name: 'Fritz Lang' } }])
  assert.deepEqual(await ask('slug,director!film_director_fkey(name)', film('m')), [{ slug: 'm', director: { name: 'Fritz Lang' } }])
  assert.deepEqual(await ask('name,film(count)', (q) => q.order('name'), 'director'), [
    { name: 'Agnès Varda', film: [{ count: 1 }] },
    { name: 'Fritz Lang', film: [{ count: 2 }] },
  ])
  assert.deepEqual(await ask('name,film(slug)', (q) => q.eq('name', 'Fritz Lang').order('year', { referencedTable: 'film', ascending: false }).limit(1, { referencedTable: 'film' }), 'director'), [
    { name: 'Fritz Lang', film: [{ slug: 'm' }] },
  ])
  const either = await ask('slug,director!inner(name)', (q) => q.or('name.eq.none,country.eq.France', { referencedTable: 'director' }))
  assert.deepEqual(either.map((it) => it.slug), ['cleo'])
  const ordered = await ask('slug,director(name)', (q) => q.not('director', 'is', null).order('director(name)').order('year'))
  assert.deepEqual(ordered.map((it) => it.slug), ['cleo', 'metropolis', 'm'])
}

async function upserts(client, ids) {
  const merged = await client.from('film').upsert({ slug: 'm', title: 'M', year: 1931, rating: 9.0 }, { onConflict: 'slug' }).select('id,rating,seen')
  assert.equal(merged.status, 200)
  assert.deepEqual(fine(merged), [{ id: ids.m, rating: 9, seen: true }])
  const mixed = await client.from('director').upsert([{ name: 'Fritz Lang', country: 'Austria' }, { name: 'Chantal Akerman', country: 'Belgium' }], { onConflict: 'name', count: 'exact' }).select('name,country')
  assert.deepEqual([mixed.status, mixed.count], [201, 2])
  const ignored = await client.from('director').upsert({ name: 'Fritz Lang', country: 'Nowhere' }, { onConflict: 'name', ignoreDuplicates: true }).select()
  assert.deepEqual(fine(ignored), [])
  const by_id = fine(await client.from('film').upsert({ id: ids.m, slug: 'm', title: 'M', year: 1931, rating: 8.3 }).select('rating').single())
  assert.equal(by_id.rating, 8.3)
  const both = await client.from('part').upsert([{ film: ids.m, actor: (await client.from('actor').select('id').eq('name', 'Peter Lorre').single()).data.id, name: 'Beckert' }], { onConflict: 'film,actor' }).select('name')
  assert.deepEqual(fine(both), [{ name: 'Beckert' }])
}

async function functions(client) {
  assert.equal(fine(await client.rpc('add', { a: 1, b: 2 })), 3)
  assert.equal(fine(await client.rpc('add', { a: 1 })), 2)
  assert.equal(fine(await client.rpc('add', { a: 1, b: 2 }, { get: true })), 3)
  assert.equal(fine(await client.rpc('longest', { words: ['a', 'long one', 'b'] }, { get: true })), 'long one')
  assert.equal(fine(await client.rpc('longest', { words: ['a', 'bcd'] })), 'bcd')
  assert.deepEqual(fine(await client.rpc('years')), [1900, 1927, 1931, 1962])
  assert.equal(fine(await client.rpc('oldest')).slug, 'unknown')
  assert.equal(fine(await client.rpc('oldest').select('slug').single()).slug, 'unknown')
  const since = client.rpc('films_since', { since: 1927 }, { count: 'exact' })
  const some = await since.select('slug,director(name)').neq('slug', 'm').order('year', { ascending: false }).limit(1)
  assert.deepEqual([some.count, fine(some)], [2, [{ slug: 'cleo', director: { name: 'Agnès Varda' } }]])
  const head = await client.rpc('films_since', { since: 1927 }, { head: true, count: 'exact' })
  assert.deepEqual([head.status, head.count, head.data], [200, 3, null])
  assert.equal(fine(await client.rpc('films_since', { since: 1960 }).select('slug,year').csv()), 'slug,year\ncleo,1962')
  const nothing = await client.rpc('mark_seen', { slug: 'unknown' })
  assert.deepEqual([nothing.status, nothing.data], [204, null])
  assert.equal(fine(await client.from('film').select('seen').eq('slug', 'unknown').single()).seen, true)
  const raised = refused(await client.rpc('refuse', { why: 'not on Sundays' }), 400, 'P0001')
  assert.deepEqual([raised.message, raised.hint], ['not on Sundays', 'the hint'])
  refused(await client.rpc('nowhere'), 404, 'PGRST202')
  refused(await client.rpc('add', { x: 1 }), 404, 'PGRST202')
  refused(await client.rpc('mark_seen', { slug: 'm' }, { get: true }), 405, '25006')
}

async function errors(client) {
  refused(await client.from('films').select(), 404, 'PGRST205')
  refused(await client.from('film').select('nothing'), 400, 'PGRST204')
  refused(await client.from('film').insert({ nothing: 1 }), 400, 'PGRST204')
  refused(await client.from('film').select('slug,actor!nowhere(name)'), 400, 'PGRST200')
  refused(await client.from('film').select('slug,part(').eq('slug', 'm'), 400, 'PGRST100')
  refused(await client.from('film').select().eq('year', 'soon'), 400, '22P02')
  refused(await client.from('film').insert({ slug: 'm', title: 'M', year: 1931 }), 409, '23505')
  refused(await client.from('film').insert({ slug: 'x', title: 'X' }), 400, '23502')
  refused(await client.from('film').insert({ slug: 'x', title: 'X', year: 1 }), 400, '23514')
  refused(await client.from('part').insert({ film: '00000000-0000-4000-8000-000000000000', actor: '00000000-0000-4000-8000-000000000000', name: 'x' }), 409, '23503')
  // An update of every row is not made by forgetting a filter.
  assert.equal((await client.from('film').update({ seen: true })).error.hint !== null, true)
  const threw = client.from('films').select().throwOnError()
  await assert.rejects(async () => await threw, { code: 'PGRST205' })
}

// In the shape in which LangChain's and LlamaIndex' Supabase stores ask.
async function documents(client) {
  const rows = [
    { content: 'of cats', metadata: { kind: 'animal', page: 1 }, embedding: [1, 0, 0, 0] },
    { content: 'of dogs', metadata: { kind: 'animal', page: 2 }, embedding: [0.9, 0.1, 0, 0] },
    { content: 'of ships', metadata: { kind: 'thing', page: 1 }, embedding: [0, 0, 1, 0] },
  ]
  const made = fine(await client.from('documents').upsert(rows).select())
  assert.ok(made.every((row) => typeof row.id === 'string'))
  const match = (more) => client.rpc('match_documents', { query_embedding: [1, 0, 0, 0], filter: {}, match_count: 2, ...more })
  assert.deepEqual(fine(await match()).map((row) => row.content), ['of cats', 'of dogs'])
  const found = fine(await match({ filter: { kind: 'thing' } }))
  assert.deepEqual(found.map((row) => [row.content, row.metadata.page, row.embedding]), [['of ships', 1, [0, 0, 1, 0]]])
  const funnelled = fine(await match({ match_count: 3 }).filter('metadata->page', 'gt', 1).limit(3))
  assert.deepEqual(funnelled.map((row) => row.content), ['of dogs'])
  const text = fine(await client.rpc('match_documents', { query_embedding: '[0,0,1,0]', match_count: 1 }))
  assert.deepEqual(text.map((row) => [row.content, row.similarity]), [['of ships', 1]])
  // The same without a function: nearest is a filter.
  const near = fine(await client.from('documents').select('content,d:embedding.distance()').filter('embedding', 'nearest', '[1,0,0,0]').eq('metadata->>kind', 'animal').limit(1))
  assert.deepEqual(near.map((row) => row.content), ['of cats'])
  assert.ok(near[0].d < 1e-6)
  const like = fine(await client.from('film').select('slug').filter('mood', 'nearest(l2)', 'row:slug.m').limit(1))
  assert.deepEqual(like, [{ slug: 'metropolis' }])
  const changed = await client.from('documents').upsert({ id: made[0].id, ...rows[0], content: 'of lions' }).select('content')
  assert.deepEqual([changed.status, fine(changed)], [200, [{ content: 'of lions' }]])
  fine(await client.from('documents').delete().in('id', made.map((row) => row.id)))
  fine(await client.from('documents').delete().eq('metadata->>kind', 'animal'))
}

async function walls(client, other) {
  assert.deepEqual(fine(await other.from('film').select()), [])
  assert.deepEqual(fine(await other.rpc('years')), [])
  fine(await other.from('film').insert({ slug: 'm', title: 'Another M', year: 1951 }))
  const changed = await other.from('film').update({ title: 'Mine' }, { count: 'exact' }).eq('year', 1931)
  assert.equal(changed.count, 0)
  assert.equal(fine(await client.from('film').select('title').eq('slug', 'm').single()).title, 'M')
  assert.ok(!JSON.stringify(fine(await client.from('film').select())).includes('tenant_id'))
}

async function deletes(client) {
  const away = await client.from('film').delete({ count: 'exact' }).eq('slug', 'unknown').select('slug')
  assert.deepEqual([away.status, away.count, away.data], [200, 1, [{ slug: 'unknown' }]])
  const quiet = await client.from('film').delete().eq('slug', 'nothing')
  assert.deepEqual([quiet.status, quiet.data], [204, null])
  assert.deepEqual(fine(await client.from('film').delete().in('slug', ['m', 'cleo']).select('slug,director(name)').order('slug')), [
    { slug: 'cleo', director: { name: 'Agnès Varda' } },
    { slug: 'm', director: { name: 'Fritz Lang' } },
  ])
  // What referred to them by `cascade` is gone, too.
  assert.deepEqual(fine(await client.from('part').select()), [])
}
