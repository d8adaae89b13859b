-- Makes the database one as they usually are: a tenant in a setting that anybody can set, policies on the tables alone,
-- rights for all, keys over all tenants. Nothing of it touches roles or settings of the server, which other tests share.
drop event trigger if exists freehold_no_ddl;
drop event trigger if exists freehold_guard;
drop event trigger if exists freehold_note_ddl;

create or replace function freehold.tenant() returns uuid language sql stable
  return nullif(current_setting('freehold.tenant', true), '')::uuid;
create or replace procedure freehold.open(token text) language plpgsql as $$
begin
  perform set_config('freehold.tenant', substr(token, 14, 32), false);
  if length(token) > 40 and not exists (select from freehold.tenant where id::text = substr(token, 14, 32)::uuid::text) then
    raise exception 'no such tenant';
  end if;
end $$;
create or replace procedure freehold.open(kid smallint, role smallint, tenant uuid, principal uuid, expiry bigint, nonce bigint, mac bytea) language plpgsql as $$
begin
  perform set_config('freehold.tenant', replace(tenant::text, '-', ''), false);
end $$;

do $$
declare
  made record;
begin
  for made in select c.oid, c.oid::regclass as name, c.relnamespace = 'app'::regnamespace as root, c.relispartition
      from pg_class c where c.relnamespace in ('app'::regnamespace, 'freehold_shelf'::regnamespace) and c.relkind in ('r', 'p')
  loop
    execute format('alter table %s no force row level security', made.name);
    if made.root then
      execute format('drop policy wall on %s', made.name);
      execute format('drop policy use on %s', made.name);
      execute format('create policy mine on %s using (tenant_id = freehold.tenant()) with check (true)', made.name);
    else
      execute format('alter table %s disable row level security', made.name);
    end if;
    execute format('drop policy if exists anonymous on %s', made.name);
    execute format('grant all on %s to freehold_app, freehold_anonymous', made.name);
    execute (select format('alter table %s ', made.name) || string_agg(format('alter column %I set statistics 100', attname), ', ')
      from pg_attribute where attrelid = made.oid and attnum > 0 and not attisdropped);
  end loop;
  -- Rights on PostgreSQL's own are this database's.
  for made in select oid::regprocedure as name from pg_proc where pronamespace = 'pg_catalog'::regnamespace and prokind in ('f', 'w') loop
    execute format('grant execute on function %s to public', made.name);
  end loop;
  execute format('grant all on database %I to public', current_database());
end $$;
grant select on all tables in schema pg_catalog to public;
grant usage on schema information_schema to public;
grant usage on language plpgsql, sql to public;
grant all on schema app, freehold, freehold_shelf, public to freehold_app, freehold_anonymous;
grant all on all tables in schema freehold to freehold_app, freehold_anonymous;
grant all on all sequences in schema freehold to freehold_app;
grant execute on all routines in schema freehold to freehold_app;
grant execute on all routines in schema freehold_shelf to freehold_app;
alter table freehold.import_mark disable row level security;
alter table freehold.embedding_due disable row level security;

-- Keys and references that forget the tenant, on the shelf on which both may be.
do $$
declare
  part record;
begin
  for part in select c.oid::regclass as name, split_part(c.relname, '~', 1) as entity from pg_class c
      where c.relnamespace = 'freehold_shelf'::regnamespace and c.relkind = 'r'
        and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'id')
  loop
    execute format('create unique index on %s (id)', part.name);
    if part.entity = 'person' then
      execute format('create unique index on %s (handle)', part.name);
    elsif part.entity = 'commit' then
      execute format('create unique index on %s (sha)', part.name);
      execute format('create index on %s (subject)', part.name);
      execute format('create index on %s using hnsw (made freehold_ext.vector_cosine_ops)', part.name);
    end if;
  end loop;
end $$;
alter table app.commit drop constraint "commit~author~fk";
alter table app.commit drop constraint "commit~reviewer~fk";
alter table app.visit drop constraint "visit~author~fk";
