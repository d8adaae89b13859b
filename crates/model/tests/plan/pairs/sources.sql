-- 1. add entity b (additive)
begin;
create table app."b" (
  tenant_id uuid not null default freehold.tenant(),
  id uuid not null default freehold.uuidv7(),
  "t" text
) partition by list (tenant_id);
create table freehold_shelf."b~d" partition of app."b" default partition by hash (tenant_id);
create table freehold_shelf."b~0" partition of freehold_shelf."b~d" (constraint "b~pkey~0" primary key (tenant_id, id))
  for values with (modulus 8, remainder 0);
create table freehold_shelf."b~1" partition of freehold_shelf."b~d" (constraint "b~pkey~1" primary key (tenant_id, id))
  for values with (modulus 8, remainder 1);
create table freehold_shelf."b~2" partition of freehold_shelf."b~d" (constraint "b~pkey~2" primary key (tenant_id, id))
  for values with (modulus 8, remainder 2);
create table freehold_shelf."b~3" partition of freehold_shelf."b~d" (constraint "b~pkey~3" primary key (tenant_id, id))
  for values with (modulus 8, remainder 3);
create table freehold_shelf."b~4" partition of freehold_shelf."b~d" (constraint "b~pkey~4" primary key (tenant_id, id))
  for values with (modulus 8, remainder 4);
create table freehold_shelf."b~5" partition of freehold_shelf."b~d" (constraint "b~pkey~5" primary key (tenant_id, id))
  for values with (modulus 8, remainder 5);
create table freehold_shelf."b~6" partition of freehold_shelf."b~d" (constraint "b~pkey~6" primary key (tenant_id, id))
  for values with (modulus 8, remainder 6);
create table freehold_shelf."b~7" partition of freehold_shelf."b~d" (constraint "b~pkey~7" primary key (tenant_id, id))
  for values with (modulus 8, remainder 7);
alter table freehold_shelf."b~d" add constraint "b~pkey~d" primary key (tenant_id, id);
alter table app."b" add constraint "b~pkey" primary key (tenant_id, id);
alter table app."b"
  alter column "tenant_id" set statistics 0,
  alter column "id" set statistics 0,
  alter column "t" set statistics 0;
alter table app."b" enable row level security, force row level security;
alter table freehold_shelf."b~d" enable row level security, force row level security;
alter table freehold_shelf."b~0" enable row level security, force row level security;
alter table freehold_shelf."b~1" enable row level security, force row level security;
alter table freehold_shelf."b~2" enable row level security, force row level security;
alter table freehold_shelf."b~3" enable row level security, force row level security;
alter table freehold_shelf."b~4" enable row level security, force row level security;
alter table freehold_shelf."b~5" enable row level security, force row level security;
alter table freehold_shelf."b~6" enable row level security, force row level security;
alter table freehold_shelf."b~7" enable row level security, force row level security;
create policy wall on app."b" as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on app."b" for all to freehold_app using (true);
create trigger noted after insert or truncate on app."b"
  for each statement execute function freehold.note();
create trigger noted_moved after update of tenant_id, id on app."b"
  for each statement execute function freehold.note();
create trigger noted_update after update on app."b"
  referencing new table as changed for each statement execute function freehold.note_rows();
create trigger noted_delete after delete on app."b"
  referencing old table as changed for each statement execute function freehold.note_rows();
grant select ("tenant_id", "id", "t"), insert ("tenant_id", "id", "t"), update ("t"), delete on app."b" to freehold_app;
commit;

-- 2. change field a.free (additive)
begin;
drop trigger "a~free~outdated" on app."a";
drop function freehold_shelf."a~free~outdated"();
drop trigger "a~free~due" on app."a";
commit;

-- 3. make room for new vectors of a.stays (additive)
begin;
alter table app."a" add column "stays~next" freehold_ext.vector(30);
alter table app."a" alter column "stays~next" set storage main;
alter table app."a" alter column "stays~next" set statistics 0;
grant select ("stays~next"), insert ("stays~next"), update ("stays~next") on app."a" to freehold_app;
create function freehold_shelf."a~stays~next~outdated"() returns trigger language plpgsql as 'begin new."stays~next" := null; return new; end';
create trigger "a~stays~next~outdated" before update of "keep" on app."a" for each row
  when (row(old."keep") is distinct from row(new."keep") and old."stays~next" operator(freehold_ext.=) new."stays~next")
  execute function freehold_shelf."a~stays~next~outdated"();
commit;

-- 4. fill field a.stays (additive)
-- Freehold embeds the rows of a in which "stays~next" is null

-- 5. put the new vectors of a.stays in place (additive)
begin;
drop trigger "a~stays~next~outdated" on app."a";
drop function freehold_shelf."a~stays~next~outdated"();
drop trigger "a~stays~outdated" on app."a";
drop function freehold_shelf."a~stays~outdated"();
drop trigger "a~stays~due" on app."a";
alter table app."a" drop column "stays";
alter table app."a" rename column "stays~next" to "stays";
create function freehold_shelf."a~stays~outdated"() returns trigger language plpgsql as 'begin new."stays" := null; return new; end';
create trigger "a~stays~outdated" before update of "keep" on app."a" for each row
  when (row(old."keep") is distinct from row(new."keep") and old."stays" operator(freehold_ext.=) new."stays")
  execute function freehold_shelf."a~stays~outdated"();
create trigger "a~stays~due" after insert or update of "keep", "stays" on app."a" for each row
  when (new."stays" is null) execute function freehold.embedding_due('a', 'stays');
commit;

-- 6. fill field a.stays (additive)
-- Freehold embeds the rows of a in which "stays" is null

-- 7. remove field a.goes (destructive: drop:a.goes)
begin;
drop trigger "a~goes~outdated" on app."a";
drop function freehold_shelf."a~goes~outdated"();
drop trigger "a~goes~due" on app."a";
alter table app."a" drop column "goes";
commit;

-- 8. change field a.n (rewriting: writes every row of a anew while all who use it wait)
-- fails if a text does not have the new type's form
begin;
alter table app."a" alter column "n" type integer using "n"::integer;
alter table app."a" add constraint "a~n~min" check ("n" >= '3'::integer) not valid;
commit;

-- 9. change field a.m (rewriting: writes every row of a anew while all who use it wait)
-- fails if a text does not have the new type's form
begin;
alter table app."a" alter column "m" type uuid using "m"::uuid;
commit;

-- 10. change field a.o (rewriting: writes every row of a anew while all who use it wait)
-- fails if a text does not have the new type's form
begin;
alter table app."a" alter column "o" type numeric using "o"::numeric;
alter table app."a" alter column "o" set default '3'::numeric;
commit;

-- 11. add reference a.m to b (additive)
begin;
alter table app."a" add constraint "a~m~fk" foreign key (tenant_id, "m") references app."b" (tenant_id, id) not valid;
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

-- 12. check field a.n (additive)
-- fails if a value is out of bounds
begin;
alter table app."a" validate constraint "a~n~min";
commit;

-- 13. check reference a.m (additive)
-- fails if a row refers to one that is not there
begin;
revoke select on freehold_shelf."a~0", freehold_shelf."a~1", freehold_shelf."a~2", freehold_shelf."a~3", freehold_shelf."a~4", freehold_shelf."a~5", freehold_shelf."a~6", freehold_shelf."a~7" from freehold_owner;
alter table app."a" validate constraint "a~m~fk";
grant select on freehold_shelf."a~0", freehold_shelf."a~1", freehold_shelf."a~2", freehold_shelf."a~3", freehold_shelf."a~4", freehold_shelf."a~5", freehold_shelf."a~6", freehold_shelf."a~7" to freehold_owner;
commit;

-- 14. build index a(n) (additive)
drop index concurrently if exists freehold_shelf."a~n~idx~0";
create index concurrently "a~n~idx~0" on freehold_shelf."a~0" (tenant_id, "n");
drop index concurrently if exists freehold_shelf."a~n~idx~1";
create index concurrently "a~n~idx~1" on freehold_shelf."a~1" (tenant_id, "n");
drop index concurrently if exists freehold_shelf."a~n~idx~2";
create index concurrently "a~n~idx~2" on freehold_shelf."a~2" (tenant_id, "n");
drop index concurrently if exists freehold_shelf."a~n~idx~3";
create index concurrently "a~n~idx~3" on freehold_shelf."a~3" (tenant_id, "n");
drop index concurrently if exists freehold_shelf."a~n~idx~4";
create index concurrently "a~n~idx~4" on freehold_shelf."a~4" (tenant_id, "n");
drop index concurrently if exists freehold_shelf."a~n~idx~5";
create index concurrently "a~n~idx~5" on freehold_shelf."a~5" (tenant_id, "n");
drop index concurrently if exists freehold_shelf."a~n~idx~6";
create index concurrently "a~n~idx~6" on freehold_shelf."a~6" (tenant_id, "n");
drop index concurrently if exists freehold_shelf."a~n~idx~7";
create index concurrently "a~n~idx~7" on freehold_shelf."a~7" (tenant_id, "n");

-- 15. add index a(n) (additive)
begin;
create index "a~n~idx" on only app."a" (tenant_id, "n");
create index "a~n~idx~d" on only freehold_shelf."a~d" (tenant_id, "n");
alter index app."a~n~idx" attach partition freehold_shelf."a~n~idx~d";
alter index freehold_shelf."a~n~idx~d" attach partition freehold_shelf."a~n~idx~0";
alter index freehold_shelf."a~n~idx~d" attach partition freehold_shelf."a~n~idx~1";
alter index freehold_shelf."a~n~idx~d" attach partition freehold_shelf."a~n~idx~2";
alter index freehold_shelf."a~n~idx~d" attach partition freehold_shelf."a~n~idx~3";
alter index freehold_shelf."a~n~idx~d" attach partition freehold_shelf."a~n~idx~4";
alter index freehold_shelf."a~n~idx~d" attach partition freehold_shelf."a~n~idx~5";
alter index freehold_shelf."a~n~idx~d" attach partition freehold_shelf."a~n~idx~6";
alter index freehold_shelf."a~n~idx~d" attach partition freehold_shelf."a~n~idx~7";
commit;

-- 16. build index a(m) (additive)
drop index concurrently if exists freehold_shelf."a~m~idx~0";
create index concurrently "a~m~idx~0" on freehold_shelf."a~0" (tenant_id, "m");
drop index concurrently if exists freehold_shelf."a~m~idx~1";
create index concurrently "a~m~idx~1" on freehold_shelf."a~1" (tenant_id, "m");
drop index concurrently if exists freehold_shelf."a~m~idx~2";
create index concurrently "a~m~idx~2" on freehold_shelf."a~2" (tenant_id, "m");
drop index concurrently if exists freehold_shelf."a~m~idx~3";
create index concurrently "a~m~idx~3" on freehold_shelf."a~3" (tenant_id, "m");
drop index concurrently if exists freehold_shelf."a~m~idx~4";
create index concurrently "a~m~idx~4" on freehold_shelf."a~4" (tenant_id, "m");
drop index concurrently if exists freehold_shelf."a~m~idx~5";
create index concurrently "a~m~idx~5" on freehold_shelf."a~5" (tenant_id, "m");
drop index concurrently if exists freehold_shelf."a~m~idx~6";
create index concurrently "a~m~idx~6" on freehold_shelf."a~6" (tenant_id, "m");
drop index concurrently if exists freehold_shelf."a~m~idx~7";
create index concurrently "a~m~idx~7" on freehold_shelf."a~7" (tenant_id, "m");

-- 17. add index a(m) (additive)
begin;
create index "a~m~idx" on only app."a" (tenant_id, "m");
create index "a~m~idx~d" on only freehold_shelf."a~d" (tenant_id, "m");
alter index app."a~m~idx" attach partition freehold_shelf."a~m~idx~d";
alter index freehold_shelf."a~m~idx~d" attach partition freehold_shelf."a~m~idx~0";
alter index freehold_shelf."a~m~idx~d" attach partition freehold_shelf."a~m~idx~1";
alter index freehold_shelf."a~m~idx~d" attach partition freehold_shelf."a~m~idx~2";
alter index freehold_shelf."a~m~idx~d" attach partition freehold_shelf."a~m~idx~3";
alter index freehold_shelf."a~m~idx~d" attach partition freehold_shelf."a~m~idx~4";
alter index freehold_shelf."a~m~idx~d" attach partition freehold_shelf."a~m~idx~5";
alter index freehold_shelf."a~m~idx~d" attach partition freehold_shelf."a~m~idx~6";
alter index freehold_shelf."a~m~idx~d" attach partition freehold_shelf."a~m~idx~7";
commit;

-- needs --allow drop:a.goes