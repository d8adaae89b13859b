-- 1. add entity c (additive)
begin;
create table app."c" (
  tenant_id uuid not null default freehold.tenant(),
  id uuid not null default freehold.uuidv7(),
  "there" uuid,
  "here" uuid
) partition by list (tenant_id);
create table freehold_shelf."c~d" partition of app."c" default partition by hash (tenant_id);
create table freehold_shelf."c~0" partition of freehold_shelf."c~d" (constraint "c~pkey~0" primary key (tenant_id, id))
  for values with (modulus 8, remainder 0);
create table freehold_shelf."c~1" partition of freehold_shelf."c~d" (constraint "c~pkey~1" primary key (tenant_id, id))
  for values with (modulus 8, remainder 1);
create table freehold_shelf."c~2" partition of freehold_shelf."c~d" (constraint "c~pkey~2" primary key (tenant_id, id))
  for values with (modulus 8, remainder 2);
create table freehold_shelf."c~3" partition of freehold_shelf."c~d" (constraint "c~pkey~3" primary key (tenant_id, id))
  for values with (modulus 8, remainder 3);
create table freehold_shelf."c~4" partition of freehold_shelf."c~d" (constraint "c~pkey~4" primary key (tenant_id, id))
  for values with (modulus 8, remainder 4);
create table freehold_shelf."c~5" partition of freehold_shelf."c~d" (constraint "c~pkey~5" primary key (tenant_id, id))
  for values with (modulus 8, remainder 5);
create table freehold_shelf."c~6" partition of freehold_shelf."c~d" (constraint "c~pkey~6" primary key (tenant_id, id))
  for values with (modulus 8, remainder 6);
create table freehold_shelf."c~7" partition of freehold_shelf."c~d" (constraint "c~pkey~7" primary key (tenant_id, id))
  for values with (modulus 8, remainder 7);
alter table freehold_shelf."c~d" add constraint "c~pkey~d" primary key (tenant_id, id);
alter table app."c" add constraint "c~pkey" primary key (tenant_id, id);
alter table app."c"
  alter column "tenant_id" set statistics 0,
  alter column "id" set statistics 0,
  alter column "there" set statistics 0,
  alter column "here" set statistics 0;
alter table app."c" enable row level security, force row level security;
alter table freehold_shelf."c~d" enable row level security, force row level security;
alter table freehold_shelf."c~0" enable row level security, force row level security;
alter table freehold_shelf."c~1" enable row level security, force row level security;
alter table freehold_shelf."c~2" enable row level security, force row level security;
alter table freehold_shelf."c~3" enable row level security, force row level security;
alter table freehold_shelf."c~4" enable row level security, force row level security;
alter table freehold_shelf."c~5" enable row level security, force row level security;
alter table freehold_shelf."c~6" enable row level security, force row level security;
alter table freehold_shelf."c~7" enable row level security, force row level security;
create policy wall on app."c" as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on app."c" for all to freehold_app using (true);
create trigger noted after insert or truncate on app."c"
  for each statement execute function freehold.note();
create trigger noted_moved after update of tenant_id, id on app."c"
  for each statement execute function freehold.note();
create trigger noted_update after update on app."c"
  referencing new table as changed for each statement execute function freehold.note_rows();
create trigger noted_delete after delete on app."c"
  referencing old table as changed for each statement execute function freehold.note_rows();
grant select ("tenant_id", "id", "there", "here"), insert ("tenant_id", "id", "there", "here"), update ("there", "here"), delete on app."c" to freehold_app;
create index "c~there~idx~0" on freehold_shelf."c~0" (tenant_id, "there");
create index "c~there~idx~1" on freehold_shelf."c~1" (tenant_id, "there");
create index "c~there~idx~2" on freehold_shelf."c~2" (tenant_id, "there");
create index "c~there~idx~3" on freehold_shelf."c~3" (tenant_id, "there");
create index "c~there~idx~4" on freehold_shelf."c~4" (tenant_id, "there");
create index "c~there~idx~5" on freehold_shelf."c~5" (tenant_id, "there");
create index "c~there~idx~6" on freehold_shelf."c~6" (tenant_id, "there");
create index "c~there~idx~7" on freehold_shelf."c~7" (tenant_id, "there");
create index "c~there~idx~d" on freehold_shelf."c~d" (tenant_id, "there");
create index "c~there~idx" on app."c" (tenant_id, "there");
create index "c~here~idx~0" on freehold_shelf."c~0" (tenant_id, "here");
create index "c~here~idx~1" on freehold_shelf."c~1" (tenant_id, "here");
create index "c~here~idx~2" on freehold_shelf."c~2" (tenant_id, "here");
create index "c~here~idx~3" on freehold_shelf."c~3" (tenant_id, "here");
create index "c~here~idx~4" on freehold_shelf."c~4" (tenant_id, "here");
create index "c~here~idx~5" on freehold_shelf."c~5" (tenant_id, "here");
create index "c~here~idx~6" on freehold_shelf."c~6" (tenant_id, "here");
create index "c~here~idx~7" on freehold_shelf."c~7" (tenant_id, "here");
create index "c~here~idx~d" on freehold_shelf."c~d" (tenant_id, "here");
create index "c~here~idx" on app."c" (tenant_id, "here");
commit;

-- 2. change field a.four (additive)
begin;
alter table app."a" drop constraint "a~four~fk";
commit;

-- 3. add reference a.one to c (rewriting: reads every row of a while writes to a and c wait)
-- fails if a row refers to one that is not there
begin;
revoke select on freehold_shelf."a~0", freehold_shelf."a~1", freehold_shelf."a~2", freehold_shelf."a~3", freehold_shelf."a~4", freehold_shelf."a~5", freehold_shelf."a~6", freehold_shelf."a~7" from freehold_owner;
alter table app."a" add constraint "a~one~fk" foreign key (tenant_id, "one") references app."c" (tenant_id, id);
grant select on freehold_shelf."a~0", freehold_shelf."a~1", freehold_shelf."a~2", freehold_shelf."a~3", freehold_shelf."a~4", freehold_shelf."a~5", freehold_shelf."a~6", freehold_shelf."a~7" to freehold_owner;
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

-- 4. add reference a.two to a (rewriting: reads every row of a while writes to a and a wait)
-- fails if a row refers to one that is not there
begin;
alter table app."a" drop constraint "a~two~fk";
revoke select on freehold_shelf."a~0", freehold_shelf."a~1", freehold_shelf."a~2", freehold_shelf."a~3", freehold_shelf."a~4", freehold_shelf."a~5", freehold_shelf."a~6", freehold_shelf."a~7" from freehold_owner;
alter table app."a" add constraint "a~two~fk" foreign key (tenant_id, "two") references app."a" (tenant_id, id);
grant select on freehold_shelf."a~0", freehold_shelf."a~1", freehold_shelf."a~2", freehold_shelf."a~3", freehold_shelf."a~4", freehold_shelf."a~5", freehold_shelf."a~6", freehold_shelf."a~7" to freehold_owner;
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

-- 5. add reference a.three to b (rewriting: reads every row of a while writes to a and b wait)
-- fails if a row refers to one that is not there
begin;
alter table app."a" drop constraint "a~three~fk";
revoke select on freehold_shelf."a~0", freehold_shelf."a~1", freehold_shelf."a~2", freehold_shelf."a~3", freehold_shelf."a~4", freehold_shelf."a~5", freehold_shelf."a~6", freehold_shelf."a~7" from freehold_owner;
alter table app."a" add constraint "a~three~fk" foreign key (tenant_id, "three") references app."b" (tenant_id, id);
grant select on freehold_shelf."a~0", freehold_shelf."a~1", freehold_shelf."a~2", freehold_shelf."a~3", freehold_shelf."a~4", freehold_shelf."a~5", freehold_shelf."a~6", freehold_shelf."a~7" to freehold_owner;
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

-- 6. add reference b.back to a (rewriting: reads every row of b while writes to b and a wait)
-- fails if a row refers to one that is not there
begin;
alter table app."b" drop constraint "b~back~fk";
revoke select on freehold_shelf."b~0", freehold_shelf."b~1", freehold_shelf."b~2", freehold_shelf."b~3", freehold_shelf."b~4", freehold_shelf."b~5", freehold_shelf."b~6", freehold_shelf."b~7" from freehold_owner;
alter table app."b" add constraint "b~back~fk" foreign key (tenant_id, "back") references app."a" (tenant_id, id) on delete set null ("back");
grant select on freehold_shelf."b~0", freehold_shelf."b~1", freehold_shelf."b~2", freehold_shelf."b~3", freehold_shelf."b~4", freehold_shelf."b~5", freehold_shelf."b~6", freehold_shelf."b~7" to freehold_owner;
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

-- 7. add references of c (additive)
begin;
alter table app."c" add constraint "c~there~fk" foreign key (tenant_id, "there") references app."a" (tenant_id, id);
alter table app."c" add constraint "c~here~fk" foreign key (tenant_id, "here") references app."c" (tenant_id, id);
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

-- 8. build index a(one) (additive)
drop index concurrently if exists freehold_shelf."a~one~idx~0";
create index concurrently "a~one~idx~0" on freehold_shelf."a~0" (tenant_id, "one");
drop index concurrently if exists freehold_shelf."a~one~idx~1";
create index concurrently "a~one~idx~1" on freehold_shelf."a~1" (tenant_id, "one");
drop index concurrently if exists freehold_shelf."a~one~idx~2";
create index concurrently "a~one~idx~2" on freehold_shelf."a~2" (tenant_id, "one");
drop index concurrently if exists freehold_shelf."a~one~idx~3";
create index concurrently "a~one~idx~3" on freehold_shelf."a~3" (tenant_id, "one");
drop index concurrently if exists freehold_shelf."a~one~idx~4";
create index concurrently "a~one~idx~4" on freehold_shelf."a~4" (tenant_id, "one");
drop index concurrently if exists freehold_shelf."a~one~idx~5";
create index concurrently "a~one~idx~5" on freehold_shelf."a~5" (tenant_id, "one");
drop index concurrently if exists freehold_shelf."a~one~idx~6";
create index concurrently "a~one~idx~6" on freehold_shelf."a~6" (tenant_id, "one");
drop index concurrently if exists freehold_shelf."a~one~idx~7";
create index concurrently "a~one~idx~7" on freehold_shelf."a~7" (tenant_id, "one");

-- 9. add index a(one) (additive)
begin;
create index "a~one~idx" on only app."a" (tenant_id, "one");
create index "a~one~idx~d" on only freehold_shelf."a~d" (tenant_id, "one");
alter index app."a~one~idx" attach partition freehold_shelf."a~one~idx~d";
alter index freehold_shelf."a~one~idx~d" attach partition freehold_shelf."a~one~idx~0";
alter index freehold_shelf."a~one~idx~d" attach partition freehold_shelf."a~one~idx~1";
alter index freehold_shelf."a~one~idx~d" attach partition freehold_shelf."a~one~idx~2";
alter index freehold_shelf."a~one~idx~d" attach partition freehold_shelf."a~one~idx~3";
alter index freehold_shelf."a~one~idx~d" attach partition freehold_shelf."a~one~idx~4";
alter index freehold_shelf."a~one~idx~d" attach partition freehold_shelf."a~one~idx~5";
alter index freehold_shelf."a~one~idx~d" attach partition freehold_shelf."a~one~idx~6";
alter index freehold_shelf."a~one~idx~d" attach partition freehold_shelf."a~one~idx~7";
commit;

-- 10. remove index a(four) (additive)
begin;
drop index app."a~four~idx";
commit;
