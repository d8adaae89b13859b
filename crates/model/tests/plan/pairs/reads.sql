-- 1. build index kept(commits, author) (additive)
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~0";
create index concurrently "kept~commits~author~idx~0" on freehold_shelf."kept~0" (tenant_id, "commits", "author");
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~1";
create index concurrently "kept~commits~author~idx~1" on freehold_shelf."kept~1" (tenant_id, "commits", "author");
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~2";
create index concurrently "kept~commits~author~idx~2" on freehold_shelf."kept~2" (tenant_id, "commits", "author");
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~3";
create index concurrently "kept~commits~author~idx~3" on freehold_shelf."kept~3" (tenant_id, "commits", "author");
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~4";
create index concurrently "kept~commits~author~idx~4" on freehold_shelf."kept~4" (tenant_id, "commits", "author");
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~5";
create index concurrently "kept~commits~author~idx~5" on freehold_shelf."kept~5" (tenant_id, "commits", "author");
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~6";
create index concurrently "kept~commits~author~idx~6" on freehold_shelf."kept~6" (tenant_id, "commits", "author");
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~7";
create index concurrently "kept~commits~author~idx~7" on freehold_shelf."kept~7" (tenant_id, "commits", "author");

-- 2. add index kept(commits, author) (additive)
begin;
create index "kept~commits~author~idx" on only app."kept" (tenant_id, "commits", "author");
create index "kept~commits~author~idx~d" on only freehold_shelf."kept~d" (tenant_id, "commits", "author");
alter index app."kept~commits~author~idx" attach partition freehold_shelf."kept~commits~author~idx~d";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~0";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~1";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~2";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~3";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~4";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~5";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~6";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~7";
commit;

-- 3. note changes of person (additive)
-- waits for transactions that write to it
begin;
lock table app."person" in share row exclusive mode;
create or replace function freehold_shelf."person~capture~insert"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  if (select pg_catalog.count(*) operator(pg_catalog.=) 1 from (select from new_rows limit 2) few) then
    insert into freehold.change_log (tenant_id, entity, op, fields, n, links)
    select r.tenant_id, ''person'', ''i'', array[''handle'']::pg_catalog.text[], 1, array[r."handle"::pg_catalog.text]::pg_catalog.text[] from new_rows r;
    return null;
  end if;
  insert into freehold.change_log (tenant_id, entity, op, fields, n, links)
  select tenant_id, ''person'', ''i'', array[''handle'']::pg_catalog.text[], pg_catalog.count(*), pg_catalog.array_agg(l1)
  from (
    select image.*, (pg_catalog.row_number() over (partition by image.tenant_id) operator(pg_catalog.-) 1) operator(pg_catalog./) 250 as pack
    from new_rows r cross join lateral (values (r.tenant_id, r."handle"::pg_catalog.text)) image (tenant_id, l1)
  ) packed
  group by tenant_id, pack;
  return null;
end';
create or replace trigger "person~capture~insert" after insert on app."person"
  referencing new table as new_rows for each statement execute function freehold_shelf."person~capture~insert"();
create or replace function freehold_shelf."person~capture~update"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  if (select pg_catalog.count(*) operator(pg_catalog.=) 1 and pg_catalog.bool_and(few.same) from (select o.tenant_id operator(pg_catalog.=) n.tenant_id as same from old_rows o cross join new_rows n limit 2) few) then
    insert into freehold.change_log (tenant_id, entity, op, fields, n, links)
    select o.tenant_id, ''person'', ''u'', array[''handle'']::pg_catalog.text[], 2, array[o."handle"::pg_catalog.text, n."handle"::pg_catalog.text]::pg_catalog.text[] from old_rows o cross join new_rows n where row(o.tenant_id, o."id", o."handle")::pg_catalog.record operator(pg_catalog.*<>) row(n.tenant_id, n."id", n."handle")::pg_catalog.record;
    return null;
  end if;
  insert into freehold.change_log (tenant_id, entity, op, fields, n, links)
  select tenant_id, ''person'', ''u'', array[''handle'']::pg_catalog.text[], pg_catalog.count(*), pg_catalog.array_agg(l1)
  from (
    select image.*, (pg_catalog.row_number() over (partition by image.tenant_id) operator(pg_catalog.-) 1) operator(pg_catalog./) 250 as pack
    from old_rows o full join new_rows n on n.tenant_id operator(pg_catalog.=) o.tenant_id and n.id operator(pg_catalog.=) o.id
      cross join lateral (values (o.tenant_id, o."handle"::pg_catalog.text), (n.tenant_id, n."handle"::pg_catalog.text)) image (tenant_id, l1)
    where row(o.tenant_id, o."id", o."handle")::pg_catalog.record operator(pg_catalog.*<>) row(n.tenant_id, n."id", n."handle")::pg_catalog.record and image.tenant_id is not null
  ) packed
  group by tenant_id, pack;
  return null;
end';
create or replace trigger "person~capture~update" after update on app."person"
  referencing old table as old_rows new table as new_rows for each statement execute function freehold_shelf."person~capture~update"();
create or replace function freehold_shelf."person~capture~delete"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  if (select pg_catalog.count(*) operator(pg_catalog.=) 1 from (select from old_rows limit 2) few) then
    insert into freehold.change_log (tenant_id, entity, op, fields, n, links)
    select r.tenant_id, ''person'', ''d'', array[''handle'']::pg_catalog.text[], 1, array[r."handle"::pg_catalog.text]::pg_catalog.text[] from old_rows r;
    return null;
  end if;
  insert into freehold.change_log (tenant_id, entity, op, fields, n, links)
  select tenant_id, ''person'', ''d'', array[''handle'']::pg_catalog.text[], pg_catalog.count(*), pg_catalog.array_agg(l1)
  from (
    select image.*, (pg_catalog.row_number() over (partition by image.tenant_id) operator(pg_catalog.-) 1) operator(pg_catalog./) 250 as pack
    from old_rows r cross join lateral (values (r.tenant_id, r."handle"::pg_catalog.text)) image (tenant_id, l1)
  ) packed
  group by tenant_id, pack;
  return null;
end';
create or replace trigger "person~capture~delete" after delete on app."person"
  referencing old table as old_rows for each statement execute function freehold_shelf."person~capture~delete"();
create or replace trigger "person~capture~truncate" after truncate on app."person"
  for each statement execute function freehold.capture_truncate('person');
revoke select on app."person" from freehold_project;
grant select ("tenant_id", "id", "handle") on app."person" to freehold_project;
drop policy if exists project on app."person";
create policy project on app."person" for select to freehold_project using (true);
commit;

-- 4. note changes of commit (additive)
-- waits for transactions that write to it
begin;
lock table app."commit" in share row exclusive mode;
create or replace function freehold_shelf."commit~capture~insert"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  set datestyle = 'ISO, MDY' set timezone = 'UTC' set extra_float_digits = 1 set bytea_output = 'hex' as 'begin
  if (select pg_catalog.count(*) operator(pg_catalog.=) 1 from (select from new_rows limit 2) few) then
    insert into freehold.change_log (tenant_id, entity, op, fields, n, links)
    select r.tenant_id, ''commit'', ''i'', array[''author'', ''at'']::pg_catalog.text[], 1, array[r."author"::pg_catalog.text, r."at"::pg_catalog.text]::pg_catalog.text[] from new_rows r;
    return null;
  end if;
  insert into freehold.change_log (tenant_id, entity, op, fields, n, links)
  select tenant_id, ''commit'', ''i'', array[''author'', ''at'']::pg_catalog.text[], pg_catalog.count(*), pg_catalog.array_agg(l1) operator(pg_catalog.||) pg_catalog.array_agg(l2)
  from (
    select image.*, (pg_catalog.row_number() over (partition by image.tenant_id) operator(pg_catalog.-) 1) operator(pg_catalog./) 250 as pack
    from new_rows r cross join lateral (values (r.tenant_id, r."author"::pg_catalog.text, r."at"::pg_catalog.text)) image (tenant_id, l1, l2)
  ) packed
  group by tenant_id, pack;
  return null;
end';
create or replace trigger "commit~capture~insert" after insert on app."commit"
  referencing new table as new_rows for each statement execute function freehold_shelf."commit~capture~insert"();
create or replace function freehold_shelf."commit~capture~update"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  set datestyle = 'ISO, MDY' set timezone = 'UTC' set extra_float_digits = 1 set bytea_output = 'hex' as 'begin
  if (select pg_catalog.count(*) operator(pg_catalog.=) 1 and pg_catalog.bool_and(few.same) from (select o.tenant_id operator(pg_catalog.=) n.tenant_id as same from old_rows o cross join new_rows n limit 2) few) then
    insert into freehold.change_log (tenant_id, entity, op, fields, n, links)
    select o.tenant_id, ''commit'', ''u'', array[''author'', ''at'']::pg_catalog.text[], 2, array[o."author"::pg_catalog.text, n."author"::pg_catalog.text, o."at"::pg_catalog.text, n."at"::pg_catalog.text]::pg_catalog.text[] from old_rows o cross join new_rows n where row(o.tenant_id, o."author", o."at", o."subject", o."meaning")::pg_catalog.record operator(pg_catalog.*<>) row(n.tenant_id, n."author", n."at", n."subject", n."meaning")::pg_catalog.record;
    return null;
  end if;
  insert into freehold.change_log (tenant_id, entity, op, fields, n, links)
  select tenant_id, ''commit'', ''u'', array[''author'', ''at'']::pg_catalog.text[], pg_catalog.count(*), pg_catalog.array_agg(l1) operator(pg_catalog.||) pg_catalog.array_agg(l2)
  from (
    select image.*, (pg_catalog.row_number() over (partition by image.tenant_id) operator(pg_catalog.-) 1) operator(pg_catalog./) 250 as pack
    from old_rows o full join new_rows n on n.tenant_id operator(pg_catalog.=) o.tenant_id and n.id operator(pg_catalog.=) o.id
      cross join lateral (values (o.tenant_id, o."author"::pg_catalog.text, o."at"::pg_catalog.text), (n.tenant_id, n."author"::pg_catalog.text, n."at"::pg_catalog.text)) image (tenant_id, l1, l2)
    where row(o.tenant_id, o."author", o."at", o."subject", o."meaning")::pg_catalog.record operator(pg_catalog.*<>) row(n.tenant_id, n."author", n."at", n."subject", n."meaning")::pg_catalog.record and image.tenant_id is not null
  ) packed
  group by tenant_id, pack;
  return null;
end';
create or replace trigger "commit~capture~update" after update on app."commit"
  referencing old table as old_rows new table as new_rows for each statement execute function freehold_shelf."commit~capture~update"();
create or replace function freehold_shelf."commit~capture~delete"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  set datestyle = 'ISO, MDY' set timezone = 'UTC' set extra_float_digits = 1 set bytea_output = 'hex' as 'begin
  if (select pg_catalog.count(*) operator(pg_catalog.=) 1 from (select from old_rows limit 2) few) then
    insert into freehold.change_log (tenant_id, entity, op, fields, n, links)
    select r.tenant_id, ''commit'', ''d'', array[''author'', ''at'']::pg_catalog.text[], 1, array[r."author"::pg_catalog.text, r."at"::pg_catalog.text]::pg_catalog.text[] from old_rows r;
    return null;
  end if;
  insert into freehold.change_log (tenant_id, entity, op, fields, n, links)
  select tenant_id, ''commit'', ''d'', array[''author'', ''at'']::pg_catalog.text[], pg_catalog.count(*), pg_catalog.array_agg(l1) operator(pg_catalog.||) pg_catalog.array_agg(l2)
  from (
    select image.*, (pg_catalog.row_number() over (partition by image.tenant_id) operator(pg_catalog.-) 1) operator(pg_catalog./) 250 as pack
    from old_rows r cross join lateral (values (r.tenant_id, r."author"::pg_catalog.text, r."at"::pg_catalog.text)) image (tenant_id, l1, l2)
  ) packed
  group by tenant_id, pack;
  return null;
end';
create or replace trigger "commit~capture~delete" after delete on app."commit"
  referencing old table as old_rows for each statement execute function freehold_shelf."commit~capture~delete"();
create or replace trigger "commit~capture~truncate" after truncate on app."commit"
  for each statement execute function freehold.capture_truncate('commit');
revoke select on app."commit" from freehold_project;
grant select ("tenant_id", "id", "author", "at", "subject", "meaning") on app."commit" to freehold_project;
drop policy if exists project on app."commit";
create policy project on app."commit" for select to freehold_project using (true);
commit;

-- 5. make another table of read model author_month (additive)
begin;
create table app."author_month~v0" (
  tenant_id uuid not null default freehold.tenant(),
  "author" uuid not null,
  "month" timestamptz not null,
  "commits" bigint,
  "subjects" text,
  "subjects~search" tsvector generated always as (pg_catalog.to_tsvector('pg_catalog.english'::regconfig, coalesce("subjects", ''))) stored,
  "centre" freehold_ext.vector(3)
) partition by list (tenant_id);
alter table app."author_month~v0" alter column "centre" set storage main;
create table freehold_shelf."author_month~v0~d" partition of app."author_month~v0" default partition by hash (tenant_id);
create table freehold_shelf."author_month~v0~0" partition of freehold_shelf."author_month~v0~d" (constraint "author_month~v0~pkey~0" primary key (tenant_id, "author", "month"))
  for values with (modulus 8, remainder 0);
create table freehold_shelf."author_month~v0~1" partition of freehold_shelf."author_month~v0~d" (constraint "author_month~v0~pkey~1" primary key (tenant_id, "author", "month"))
  for values with (modulus 8, remainder 1);
create table freehold_shelf."author_month~v0~2" partition of freehold_shelf."author_month~v0~d" (constraint "author_month~v0~pkey~2" primary key (tenant_id, "author", "month"))
  for values with (modulus 8, remainder 2);
create table freehold_shelf."author_month~v0~3" partition of freehold_shelf."author_month~v0~d" (constraint "author_month~v0~pkey~3" primary key (tenant_id, "author", "month"))
  for values with (modulus 8, remainder 3);
create table freehold_shelf."author_month~v0~4" partition of freehold_shelf."author_month~v0~d" (constraint "author_month~v0~pkey~4" primary key (tenant_id, "author", "month"))
  for values with (modulus 8, remainder 4);
create table freehold_shelf."author_month~v0~5" partition of freehold_shelf."author_month~v0~d" (constraint "author_month~v0~pkey~5" primary key (tenant_id, "author", "month"))
  for values with (modulus 8, remainder 5);
create table freehold_shelf."author_month~v0~6" partition of freehold_shelf."author_month~v0~d" (constraint "author_month~v0~pkey~6" primary key (tenant_id, "author", "month"))
  for values with (modulus 8, remainder 6);
create table freehold_shelf."author_month~v0~7" partition of freehold_shelf."author_month~v0~d" (constraint "author_month~v0~pkey~7" primary key (tenant_id, "author", "month"))
  for values with (modulus 8, remainder 7);
alter table freehold_shelf."author_month~v0~d" add constraint "author_month~v0~pkey~d" primary key (tenant_id, "author", "month");
alter table app."author_month~v0" add constraint "author_month~v0~pkey" primary key (tenant_id, "author", "month");
alter table app."author_month~v0"
  alter column "tenant_id" set statistics 0,
  alter column "author" set statistics 0,
  alter column "month" set statistics 0,
  alter column "commits" set statistics 0,
  alter column "subjects" set statistics 0,
  alter column "subjects~search" set statistics 0,
  alter column "centre" set statistics 0;
alter table app."author_month~v0" enable row level security, force row level security;
alter table freehold_shelf."author_month~v0~d" enable row level security, force row level security;
alter table freehold_shelf."author_month~v0~0" enable row level security, force row level security;
alter table freehold_shelf."author_month~v0~1" enable row level security, force row level security;
alter table freehold_shelf."author_month~v0~2" enable row level security, force row level security;
alter table freehold_shelf."author_month~v0~3" enable row level security, force row level security;
alter table freehold_shelf."author_month~v0~4" enable row level security, force row level security;
alter table freehold_shelf."author_month~v0~5" enable row level security, force row level security;
alter table freehold_shelf."author_month~v0~6" enable row level security, force row level security;
alter table freehold_shelf."author_month~v0~7" enable row level security, force row level security;
create policy wall on app."author_month~v0" as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on app."author_month~v0" for all to freehold_app using (true);
create trigger noted after insert or update or delete or truncate on app."author_month~v0"
  for each statement execute function freehold.note();
create policy project on app."author_month~v0" for all to freehold_project using (true);
grant select ("tenant_id", "author", "month", "commits", "subjects", "subjects~search", "centre") on app."author_month~v0" to freehold_app;
grant select ("tenant_id", "author", "month", "commits", "subjects", "subjects~search", "centre"), insert ("author", "month", "commits", "subjects", "centre"), update ("author", "month", "commits", "subjects", "centre"), delete on app."author_month~v0" to freehold_project;
create index "author_month~v0~month~idx~0" on freehold_shelf."author_month~v0~0" (tenant_id, "month");
create index "author_month~v0~month~idx~1" on freehold_shelf."author_month~v0~1" (tenant_id, "month");
create index "author_month~v0~month~idx~2" on freehold_shelf."author_month~v0~2" (tenant_id, "month");
create index "author_month~v0~month~idx~3" on freehold_shelf."author_month~v0~3" (tenant_id, "month");
create index "author_month~v0~month~idx~4" on freehold_shelf."author_month~v0~4" (tenant_id, "month");
create index "author_month~v0~month~idx~5" on freehold_shelf."author_month~v0~5" (tenant_id, "month");
create index "author_month~v0~month~idx~6" on freehold_shelf."author_month~v0~6" (tenant_id, "month");
create index "author_month~v0~month~idx~7" on freehold_shelf."author_month~v0~7" (tenant_id, "month");
create index "author_month~v0~month~idx~d" on freehold_shelf."author_month~v0~d" (tenant_id, "month");
create index "author_month~v0~month~idx" on app."author_month~v0" (tenant_id, "month");
commit;

-- 6. make the table of read model came (additive)
begin;
create table app."came~v0" (
  tenant_id uuid not null default freehold.tenant(),
  "handle" text not null,
  "day" date not null,
  "subjects" text[]
) partition by list (tenant_id);
create table freehold_shelf."came~v0~d" partition of app."came~v0" default partition by hash (tenant_id);
create table freehold_shelf."came~v0~0" partition of freehold_shelf."came~v0~d" (constraint "came~v0~pkey~0" primary key (tenant_id, "handle", "day"))
  for values with (modulus 8, remainder 0);
create table freehold_shelf."came~v0~1" partition of freehold_shelf."came~v0~d" (constraint "came~v0~pkey~1" primary key (tenant_id, "handle", "day"))
  for values with (modulus 8, remainder 1);
create table freehold_shelf."came~v0~2" partition of freehold_shelf."came~v0~d" (constraint "came~v0~pkey~2" primary key (tenant_id, "handle", "day"))
  for values with (modulus 8, remainder 2);
create table freehold_shelf."came~v0~3" partition of freehold_shelf."came~v0~d" (constraint "came~v0~pkey~3" primary key (tenant_id, "handle", "day"))
  for values with (modulus 8, remainder 3);
create table freehold_shelf."came~v0~4" partition of freehold_shelf."came~v0~d" (constraint "came~v0~pkey~4" primary key (tenant_id, "handle", "day"))
  for values with (modulus 8, remainder 4);
create table freehold_shelf."came~v0~5" partition of freehold_shelf."came~v0~d" (constraint "came~v0~pkey~5" primary key (tenant_id, "handle", "day"))
  for values with (modulus 8, remainder 5);
create table freehold_shelf."came~v0~6" partition of freehold_shelf."came~v0~d" (constraint "came~v0~pkey~6" primary key (tenant_id, "handle", "day"))
  for values with (modulus 8, remainder 6);
create table freehold_shelf."came~v0~7" partition of freehold_shelf."came~v0~d" (constraint "came~v0~pkey~7" primary key (tenant_id, "handle", "day"))
  for values with (modulus 8, remainder 7);
alter table freehold_shelf."came~v0~d" add constraint "came~v0~pkey~d" primary key (tenant_id, "handle", "day");
alter table app."came~v0" add constraint "came~v0~pkey" primary key (tenant_id, "handle", "day");
alter table app."came~v0"
  alter column "tenant_id" set statistics 0,
  alter column "handle" set statistics 0,
  alter column "day" set statistics 0,
  alter column "subjects" set statistics 0;
alter table app."came~v0" enable row level security, force row level security;
alter table freehold_shelf."came~v0~d" enable row level security, force row level security;
alter table freehold_shelf."came~v0~0" enable row level security, force row level security;
alter table freehold_shelf."came~v0~1" enable row level security, force row level security;
alter table freehold_shelf."came~v0~2" enable row level security, force row level security;
alter table freehold_shelf."came~v0~3" enable row level security, force row level security;
alter table freehold_shelf."came~v0~4" enable row level security, force row level security;
alter table freehold_shelf."came~v0~5" enable row level security, force row level security;
alter table freehold_shelf."came~v0~6" enable row level security, force row level security;
alter table freehold_shelf."came~v0~7" enable row level security, force row level security;
create policy wall on app."came~v0" as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on app."came~v0" for all to freehold_app using (true);
create trigger noted after insert or update or delete or truncate on app."came~v0"
  for each statement execute function freehold.note();
create policy project on app."came~v0" for all to freehold_project using (true);
grant select ("tenant_id", "handle", "day", "subjects") on app."came~v0" to freehold_app;
grant select ("tenant_id", "handle", "day", "subjects"), insert ("handle", "day", "subjects"), update ("handle", "day", "subjects"), delete on app."came~v0" to freehold_project;
commit;

-- 7. rebuild read model author_month (additive)
-- the one before serves until it is done
-- Freehold fills app."author_month~v0"

-- 8. build read model came (additive)
-- Freehold fills app."came~v0"

-- 9. serve read model author_month (additive)
begin;
select freehold.projector_serve('author_month');
drop table app."author_month";
alter table app."author_month~v0" rename to "author_month";
alter table freehold_shelf."author_month~v0~d" rename to "author_month~d";
alter table freehold_shelf."author_month~v0~0" rename to "author_month~0";
alter table freehold_shelf."author_month~v0~1" rename to "author_month~1";
alter table freehold_shelf."author_month~v0~2" rename to "author_month~2";
alter table freehold_shelf."author_month~v0~3" rename to "author_month~3";
alter table freehold_shelf."author_month~v0~4" rename to "author_month~4";
alter table freehold_shelf."author_month~v0~5" rename to "author_month~5";
alter table freehold_shelf."author_month~v0~6" rename to "author_month~6";
alter table freehold_shelf."author_month~v0~7" rename to "author_month~7";
alter index app."author_month~v0~pkey" rename to "author_month~pkey";
alter index freehold_shelf."author_month~v0~pkey~d" rename to "author_month~pkey~d";
alter index freehold_shelf."author_month~v0~pkey~0" rename to "author_month~pkey~0";
alter index freehold_shelf."author_month~v0~pkey~1" rename to "author_month~pkey~1";
alter index freehold_shelf."author_month~v0~pkey~2" rename to "author_month~pkey~2";
alter index freehold_shelf."author_month~v0~pkey~3" rename to "author_month~pkey~3";
alter index freehold_shelf."author_month~v0~pkey~4" rename to "author_month~pkey~4";
alter index freehold_shelf."author_month~v0~pkey~5" rename to "author_month~pkey~5";
alter index freehold_shelf."author_month~v0~pkey~6" rename to "author_month~pkey~6";
alter index freehold_shelf."author_month~v0~pkey~7" rename to "author_month~pkey~7";
alter index app."author_month~v0~month~idx" rename to "author_month~month~idx";
alter index freehold_shelf."author_month~v0~month~idx~d" rename to "author_month~month~idx~d";
alter index freehold_shelf."author_month~v0~month~idx~0" rename to "author_month~month~idx~0";
alter index freehold_shelf."author_month~v0~month~idx~1" rename to "author_month~month~idx~1";
alter index freehold_shelf."author_month~v0~month~idx~2" rename to "author_month~month~idx~2";
alter index freehold_shelf."author_month~v0~month~idx~3" rename to "author_month~month~idx~3";
alter index freehold_shelf."author_month~v0~month~idx~4" rename to "author_month~month~idx~4";
alter index freehold_shelf."author_month~v0~month~idx~5" rename to "author_month~month~idx~5";
alter index freehold_shelf."author_month~v0~month~idx~6" rename to "author_month~month~idx~6";
alter index freehold_shelf."author_month~v0~month~idx~7" rename to "author_month~month~idx~7";
commit;

-- 10. serve read model came (additive)
begin;
select freehold.projector_serve('came');
alter table app."came~v0" rename to "came";
alter table freehold_shelf."came~v0~d" rename to "came~d";
alter table freehold_shelf."came~v0~0" rename to "came~0";
alter table freehold_shelf."came~v0~1" rename to "came~1";
alter table freehold_shelf."came~v0~2" rename to "came~2";
alter table freehold_shelf."came~v0~3" rename to "came~3";
alter table freehold_shelf."came~v0~4" rename to "came~4";
alter table freehold_shelf."came~v0~5" rename to "came~5";
alter table freehold_shelf."came~v0~6" rename to "came~6";
alter table freehold_shelf."came~v0~7" rename to "came~7";
alter index app."came~v0~pkey" rename to "came~pkey";
alter index freehold_shelf."came~v0~pkey~d" rename to "came~pkey~d";
alter index freehold_shelf."came~v0~pkey~0" rename to "came~pkey~0";
alter index freehold_shelf."came~v0~pkey~1" rename to "came~pkey~1";
alter index freehold_shelf."came~v0~pkey~2" rename to "came~pkey~2";
alter index freehold_shelf."came~v0~pkey~3" rename to "came~pkey~3";
alter index freehold_shelf."came~v0~pkey~4" rename to "came~pkey~4";
alter index freehold_shelf."came~v0~pkey~5" rename to "came~pkey~5";
alter index freehold_shelf."came~v0~pkey~6" rename to "came~pkey~6";
alter index freehold_shelf."came~v0~pkey~7" rename to "came~pkey~7";
commit;

-- 11. remove read model gone (additive)
-- its rows can be made again from the entities
begin;
select freehold.projector_retire('gone');
drop table app."gone";
commit;

-- 12. remove index kept(commits) (additive)
begin;
drop index app."kept~commits~idx";
commit;
