-- What the clients call by rpc. Run it as freehold_owner: freehold grants nothing on its own.
set role freehold_owner;

create function app.match_documents(
    query_embedding freehold_ext.vector, match_count integer default 4, filter jsonb default '{}'
) returns table (id uuid, content text, metadata jsonb, embedding jsonb, similarity double precision)
language sql stable as $$
  select d.id, d.content, d.metadata, d.embedding::text::jsonb,
         1 - (d.embedding operator(freehold_ext.<=>) query_embedding)
  from app.documents d
  where d.metadata @> filter
  order by d.embedding operator(freehold_ext.<=>) query_embedding
  limit match_count
$$;

create function app.films_since(since integer) returns setof app.film language sql stable as
  'select * from app.film where year >= since order by year';
create function app.add(a integer, b integer default 1) returns integer language sql immutable as 'select a + b';
create function app.longest(words text[]) returns text language sql immutable as
  'select w from unnest(words) w order by length(w) desc limit 1';
create function app.years() returns setof integer language sql stable as
  'select distinct year from app.film order by year';
create function app.oldest() returns app.film language sql stable as
  'select * from app.film order by year limit 1';
create function app.mark_seen(slug text) returns void language sql as
  'update app.film f set seen = true where f.slug = mark_seen.slug';
create function app.refuse(why text) returns void language plpgsql as
  $$ begin raise exception '%', why using detail = 'the detail', hint = 'the hint'; end $$;

grant execute on all functions in schema app to freehold_app;
reset role;
