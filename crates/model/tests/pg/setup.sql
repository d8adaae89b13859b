-- The tables of the model in src/query/fixture.rs, laid out as ARCHITECTURE.md says. The tenant comes from a plain
-- setting here: what makes it unforgeable is not what these tests are about.
set client_min_messages = warning;
do $$ begin
  -- Roles belong to the server, which other tests use as well.
  if to_regrole('freehold_owner') is null then create role freehold_owner nologin; end if;
  if to_regrole('freehold_app') is null then create role freehold_app login; end if;
end $$;
create schema freehold_ext;
create extension vector schema freehold_ext;
create schema freehold;
create schema app authorization freehold_owner;
create schema freehold_shelf authorization freehold_owner;
create function freehold.tenant() returns uuid language sql stable
  return current_setting('test.tenant')::uuid;
create function freehold.uuidv7() returns uuid language sql volatile
  return gen_random_uuid();
grant usage on schema freehold, freehold_ext, app to freehold_app;
grant usage on schema freehold, freehold_ext to freehold_owner;

create function pg_temp.lay(entity text, columns text) returns void language plpgsql as $$
begin
  execute format('create table app.%I (tenant_id uuid not null default freehold.tenant(),
    id uuid not null default freehold.uuidv7(), %s, constraint %I primary key (tenant_id, id))
    partition by list (tenant_id)', entity, columns, entity || '~pkey');
  execute format('create table freehold_shelf.%I partition of app.%I default partition by hash (tenant_id)',
    entity || '~d', entity);
  for i in 0..7 loop
    execute format('create table freehold_shelf.%I partition of freehold_shelf.%I for values with (modulus 8, remainder %s)',
      entity || '~' || i, entity || '~d', i);
    execute format('alter table freehold_shelf.%I enable row level security', entity || '~' || i);
    execute format('alter table freehold_shelf.%I force row level security', entity || '~' || i);
  end loop;
  execute format('alter table app.%I enable row level security', entity);
  execute format('alter table app.%I force row level security', entity);
  execute format('create policy wall on app.%I as restrictive for all to public
    using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant())', entity);
  execute format('create policy use on app.%I for all to freehold_app using (true)', entity);
end $$;

-- Grants by column: what is generated cannot be written, and neither can tenant and id once written.
create function pg_temp.allow(entity text) returns void language plpgsql as $$
declare
  every text;
  written text;
  changed text;
begin
  select string_agg(quote_ident(attname), ', '),
      string_agg(quote_ident(attname), ', ') filter (where attgenerated = ''),
      string_agg(quote_ident(attname), ', ') filter (where attgenerated = '' and attname not in ('tenant_id', 'id'))
    into every, written, changed
    from pg_attribute where attrelid = format('app.%I', entity)::regclass and attnum > 0 and not attisdropped;
  execute format('grant select (%s), insert (%s), update (%s) on app.%I to freehold_app', every, written, changed, entity);
  execute format('grant delete on app.%I to freehold_app', entity);
end $$;

select pg_temp.lay('person', '"handle" text not null, "age" smallint, "last_seen" timestamptz, "meta" jsonb');
create unique index "person~handle~key" on app."person" (tenant_id, "handle");

select pg_temp.lay('commit', '"sha" text not null, "author" uuid not null, "reviewer" uuid,
  "at" timestamptz not null default now(), "subject" text not null, "body" text, "files" text[],
  "status" text not null default ''open'' constraint "commit~status~enum" check ("status" in (''open'', ''merged'', ''it''''s "odd"'')),
  "added" integer, "size" bigint, "weight" numeric(10,2), "ratio" double precision, "signed" boolean, "day" date,
  "patch" bytea, "embedding" freehold_ext.vector(3), "half" freehold_ext.halfvec(3), "bits" bit(8),
  "sparse" freehold_ext.sparsevec(5), "embedding~next" freehold_ext.vector(3),
  "subject~search" tsvector generated always as (to_tsvector(''english'', "subject")) stored');
create unique index "commit~sha~key" on app."commit" (tenant_id, "sha");
alter table app."commit"
  add constraint "commit~author~fk" foreign key (tenant_id, "author") references app."person" (tenant_id, id),
  add constraint "commit~reviewer~fk" foreign key (tenant_id, "reviewer") references app."person" (tenant_id, id)
    on delete set null ("reviewer");
create function freehold."commit~embedding~outdated"() returns trigger language plpgsql as $$
begin
  if (new."subject", new."body") is distinct from (old."subject", old."body")
     and new."embedding"::text is not distinct from old."embedding"::text then
    new."embedding" := null;
  end if;
  return new;
end $$;
create trigger "commit~embedding~outdated" before update on app."commit" for each row
  execute function freehold."commit~embedding~outdated"();

select pg_temp.lay('file', '"commit" uuid not null, "path" text not null, "lines" integer');
create unique index "file~commit~path~key" on app."file" (tenant_id, "commit", "path");
alter table app."file" add constraint "file~commit~fk" foreign key (tenant_id, "commit")
  references app."commit" (tenant_id, id) on delete cascade;

select pg_temp.lay('review', '"commit" uuid not null, "person" uuid not null, "stars" integer');
create unique index "review~commit~person~key" on app."review" (tenant_id, "commit", "person");
alter table app."review"
  add constraint "review~commit~fk" foreign key (tenant_id, "commit") references app."commit" (tenant_id, id) on delete cascade,
  add constraint "review~person~fk" foreign key (tenant_id, "person") references app."person" (tenant_id, id) on delete cascade;

select pg_temp.lay('node', '"label" text, "parent" uuid, "order" integer, "we ird""ü" text, "where" freehold_ext.vector(2)');
alter table app."node" add constraint "node~parent~fk" foreign key (tenant_id, "parent")
  references app."node" (tenant_id, id) on delete set null ("parent");

select pg_temp.allow(entity) from unnest('{person,commit,file,node,review}'::text[]) entity;
do $$
declare part regclass;
begin
  for part in select oid from pg_class where relnamespace in ('app'::regnamespace, 'freehold_shelf'::regnamespace)
      and relkind in ('r', 'p') loop
    execute format('alter table %s owner to freehold_owner', part);
  end loop;
end $$;
