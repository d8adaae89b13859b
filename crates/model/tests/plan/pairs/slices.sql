-- 1. rename visit to call, call.at to made (additive)
-- servers that still have the old model fail until they have the new one
begin;
alter table app."visit" rename to "call";
alter table freehold_shelf."visit~d" rename to "call~d";
alter table freehold_shelf."visit~0" rename to "call~0";
alter table freehold_shelf."visit~1" rename to "call~1";
alter table freehold_shelf."visit~2" rename to "call~2";
alter table freehold_shelf."visit~3" rename to "call~3";
alter table freehold_shelf."visit~4" rename to "call~4";
alter table freehold_shelf."visit~5" rename to "call~5";
alter table freehold_shelf."visit~6" rename to "call~6";
alter table freehold_shelf."visit~7" rename to "call~7";
alter table app."call" rename column "at" to "made";
alter table app."call" rename constraint "visit~at~slice" to "call~made~slice";
alter index app."visit~pkey" rename to "call~pkey";
alter index freehold_shelf."visit~pkey~d" rename to "call~pkey~d";
alter index freehold_shelf."visit~pkey~0" rename to "call~pkey~0";
alter index freehold_shelf."visit~pkey~1" rename to "call~pkey~1";
alter index freehold_shelf."visit~pkey~2" rename to "call~pkey~2";
alter index freehold_shelf."visit~pkey~3" rename to "call~pkey~3";
alter index freehold_shelf."visit~pkey~4" rename to "call~pkey~4";
alter index freehold_shelf."visit~pkey~5" rename to "call~pkey~5";
alter index freehold_shelf."visit~pkey~6" rename to "call~pkey~6";
alter index freehold_shelf."visit~pkey~7" rename to "call~pkey~7";
alter index app."visit~at~idx" rename to "call~made~idx";
alter index freehold_shelf."visit~at~idx~d" rename to "call~made~idx~d";
alter index freehold_shelf."visit~at~idx~0" rename to "call~made~idx~0";
alter index freehold_shelf."visit~at~idx~1" rename to "call~made~idx~1";
alter index freehold_shelf."visit~at~idx~2" rename to "call~made~idx~2";
alter index freehold_shelf."visit~at~idx~3" rename to "call~made~idx~3";
alter index freehold_shelf."visit~at~idx~4" rename to "call~made~idx~4";
alter index freehold_shelf."visit~at~idx~5" rename to "call~made~idx~5";
alter index freehold_shelf."visit~at~idx~6" rename to "call~made~idx~6";
alter index freehold_shelf."visit~at~idx~7" rename to "call~made~idx~7";
commit;

-- 2. add entity event (additive)
begin;
create table app."event" (
  tenant_id uuid not null default freehold.tenant(),
  id uuid not null default freehold.uuidv7(),
  "who" uuid,
  "kind" text not null,
  "at" timestamptz not null default pg_catalog.now(),
  constraint "event~at~slice" check (pg_catalog.substr(id::text, 15, 1) = '7' and "at" <= pg_catalog.to_timestamp(('x' || pg_catalog.substr(pg_catalog.replace(id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0::double precision) + interval '3600 seconds' and pg_catalog.to_timestamp(('x' || pg_catalog.substr(pg_catalog.replace(id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0::double precision) <= pg_catalog.now() + interval '86400 seconds')
) partition by range (id);
create table freehold_shelf."event~d" partition of app."event" default partition by hash (tenant_id);
create table freehold_shelf."event~0" partition of freehold_shelf."event~d" (constraint "event~pkey~0" primary key (tenant_id, id))
  for values with (modulus 8, remainder 0);
create table freehold_shelf."event~1" partition of freehold_shelf."event~d" (constraint "event~pkey~1" primary key (tenant_id, id))
  for values with (modulus 8, remainder 1);
create table freehold_shelf."event~2" partition of freehold_shelf."event~d" (constraint "event~pkey~2" primary key (tenant_id, id))
  for values with (modulus 8, remainder 2);
create table freehold_shelf."event~3" partition of freehold_shelf."event~d" (constraint "event~pkey~3" primary key (tenant_id, id))
  for values with (modulus 8, remainder 3);
create table freehold_shelf."event~4" partition of freehold_shelf."event~d" (constraint "event~pkey~4" primary key (tenant_id, id))
  for values with (modulus 8, remainder 4);
create table freehold_shelf."event~5" partition of freehold_shelf."event~d" (constraint "event~pkey~5" primary key (tenant_id, id))
  for values with (modulus 8, remainder 5);
create table freehold_shelf."event~6" partition of freehold_shelf."event~d" (constraint "event~pkey~6" primary key (tenant_id, id))
  for values with (modulus 8, remainder 6);
create table freehold_shelf."event~7" partition of freehold_shelf."event~d" (constraint "event~pkey~7" primary key (tenant_id, id))
  for values with (modulus 8, remainder 7);
alter table freehold_shelf."event~d" add constraint "event~pkey~d" primary key (tenant_id, id);
alter table app."event" add constraint "event~pkey" primary key (tenant_id, id);
alter table app."event"
  alter column "tenant_id" set statistics 0,
  alter column "id" set statistics 0,
  alter column "who" set statistics 0,
  alter column "kind" set statistics 0,
  alter column "at" set statistics 0;
alter table app."event" enable row level security, force row level security;
alter table freehold_shelf."event~d" enable row level security, force row level security;
alter table freehold_shelf."event~0" enable row level security, force row level security;
alter table freehold_shelf."event~1" enable row level security, force row level security;
alter table freehold_shelf."event~2" enable row level security, force row level security;
alter table freehold_shelf."event~3" enable row level security, force row level security;
alter table freehold_shelf."event~4" enable row level security, force row level security;
alter table freehold_shelf."event~5" enable row level security, force row level security;
alter table freehold_shelf."event~6" enable row level security, force row level security;
alter table freehold_shelf."event~7" enable row level security, force row level security;
create policy wall on app."event" as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on app."event" for all to freehold_app using (true);
create trigger noted after insert or truncate on app."event"
  for each statement execute function freehold.note();
create trigger noted_moved after update of tenant_id, id on app."event"
  for each statement execute function freehold.note();
create trigger noted_update after update on app."event"
  referencing new table as changed for each statement execute function freehold.note_rows();
create trigger noted_delete after delete on app."event"
  referencing old table as changed for each statement execute function freehold.note_rows();
grant select ("tenant_id", "id", "who", "kind", "at"), insert ("tenant_id", "id", "who", "kind", "at"), update ("who", "kind", "at"), delete on app."event" to freehold_app;
create index "event~kind~idx~0" on freehold_shelf."event~0" (tenant_id, "kind");
create index "event~kind~idx~1" on freehold_shelf."event~1" (tenant_id, "kind");
create index "event~kind~idx~2" on freehold_shelf."event~2" (tenant_id, "kind");
create index "event~kind~idx~3" on freehold_shelf."event~3" (tenant_id, "kind");
create index "event~kind~idx~4" on freehold_shelf."event~4" (tenant_id, "kind");
create index "event~kind~idx~5" on freehold_shelf."event~5" (tenant_id, "kind");
create index "event~kind~idx~6" on freehold_shelf."event~6" (tenant_id, "kind");
create index "event~kind~idx~7" on freehold_shelf."event~7" (tenant_id, "kind");
create index "event~kind~idx~d" on freehold_shelf."event~d" (tenant_id, "kind");
create index "event~kind~idx" on app."event" (tenant_id, "kind");
create index "event~who~idx~0" on freehold_shelf."event~0" (tenant_id, "who");
create index "event~who~idx~1" on freehold_shelf."event~1" (tenant_id, "who");
create index "event~who~idx~2" on freehold_shelf."event~2" (tenant_id, "who");
create index "event~who~idx~3" on freehold_shelf."event~3" (tenant_id, "who");
create index "event~who~idx~4" on freehold_shelf."event~4" (tenant_id, "who");
create index "event~who~idx~5" on freehold_shelf."event~5" (tenant_id, "who");
create index "event~who~idx~6" on freehold_shelf."event~6" (tenant_id, "who");
create index "event~who~idx~7" on freehold_shelf."event~7" (tenant_id, "who");
create index "event~who~idx~d" on freehold_shelf."event~d" (tenant_id, "who");
create index "event~who~idx" on app."event" (tenant_id, "who");
create index "event~at~idx~0" on freehold_shelf."event~0" (tenant_id, "at");
create index "event~at~idx~1" on freehold_shelf."event~1" (tenant_id, "at");
create index "event~at~idx~2" on freehold_shelf."event~2" (tenant_id, "at");
create index "event~at~idx~3" on freehold_shelf."event~3" (tenant_id, "at");
create index "event~at~idx~4" on freehold_shelf."event~4" (tenant_id, "at");
create index "event~at~idx~5" on freehold_shelf."event~5" (tenant_id, "at");
create index "event~at~idx~6" on freehold_shelf."event~6" (tenant_id, "at");
create index "event~at~idx~7" on freehold_shelf."event~7" (tenant_id, "at");
create index "event~at~idx~d" on freehold_shelf."event~d" (tenant_id, "at");
create index "event~at~idx" on app."event" (tenant_id, "at");
create function freehold_shelf."event~who~hold"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  perform freehold.refuse_held(old.tenant_id, old."who");
  return old;
end';
create trigger "event~who~hold" before delete on app."event"
  for each row execute function freehold_shelf."event~who~hold"();
commit;

-- 3. add references of event (additive)
begin;
alter table app."event" add constraint "event~who~fk" foreign key (tenant_id, "who") references app."person" (tenant_id, id) on delete set null ("who");
do $$
declare
  part record;
begin
  for part in
    with recursive piece (oid, conrelid, confrelid, conname, whole, home) as (
      select oid, conrelid, confrelid, conname, conname, conrelid from pg_catalog.pg_constraint
        where contype = 'f' and conparentid = 0 and connamespace in ('app'::regnamespace, 'freehold_shelf'::regnamespace)
      union all
      select c.oid, c.conrelid, c.confrelid, c.conname, piece.whole, piece.home
        from piece join pg_catalog.pg_constraint c on c.conparentid = piece.oid
    )
    select piece.conrelid::regclass as home, conname as old, named.new
      from piece join pg_catalog.pg_class referred on referred.oid = piece.confrelid,
        lateral (select case when piece.conrelid = piece.home and referred.relispartition
          then whole || '~' || split_part(referred.relname, '~', -1) else whole end) as named (new)
      where conname <> named.new
  loop
    execute format('alter table %s rename constraint %I to %I', part.home, part.old, part.new);
  end loop;
end $$;
commit;
