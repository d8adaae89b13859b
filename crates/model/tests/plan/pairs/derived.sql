-- 1. rename person to human, human.face to likeness, note.text to words (additive)
-- servers that still have the old model fail until they have the new one
begin;
drop trigger "person~hold" on app."person";
drop function freehold_shelf."person~hold"();
drop trigger "person~face~changed" on app."person";
drop function freehold_shelf."person~face~changed"();
drop trigger "person~face~gone" on app."person";
drop function freehold_shelf."person~face~gone"();
drop trigger "person~face~lacks" on app."person";
drop function freehold_shelf."person~face~lacks"();
drop trigger "person~face~emptied" on app."person";
drop function freehold_shelf."person~face~emptied"();
drop trigger "person~gait~changed" on app."person";
drop function freehold_shelf."person~gait~changed"();
drop trigger "person~gait~gone" on app."person";
drop function freehold_shelf."person~gait~gone"();
drop trigger "person~gait~lacks" on app."person";
drop function freehold_shelf."person~gait~lacks"();
drop trigger "person~gait~emptied" on app."person";
drop function freehold_shelf."person~gait~emptied"();
drop trigger "person~hand~changed" on app."person";
drop function freehold_shelf."person~hand~changed"();
drop trigger "person~hand~gone" on app."person";
drop function freehold_shelf."person~hand~gone"();
drop trigger "person~hand~lacks" on app."person";
drop function freehold_shelf."person~hand~lacks"();
drop trigger "person~hand~emptied" on app."person";
drop function freehold_shelf."person~hand~emptied"();
drop trigger "note~near~outdated" on app."note";
drop function freehold_shelf."note~near~outdated"();
drop trigger "note~near~due" on app."note";
drop trigger "note~near~changed" on app."note";
drop function freehold_shelf."note~near~changed"();
drop trigger "note~near~lacks" on app."note";
drop function freehold_shelf."note~near~lacks"();
alter table app."person" rename to "human";
alter table freehold_shelf."person~d" rename to "human~d";
alter table freehold_shelf."person~0" rename to "human~0";
alter table freehold_shelf."person~1" rename to "human~1";
alter table freehold_shelf."person~2" rename to "human~2";
alter table freehold_shelf."person~3" rename to "human~3";
alter table freehold_shelf."person~4" rename to "human~4";
alter table freehold_shelf."person~5" rename to "human~5";
alter table freehold_shelf."person~6" rename to "human~6";
alter table freehold_shelf."person~7" rename to "human~7";
alter table app."human" rename column "face" to "likeness";
alter table app."person~face~near" rename to "human~likeness~near";
alter table freehold_shelf."person~face~near~d" rename to "human~likeness~near~d";
alter table freehold_shelf."person~face~near~0" rename to "human~likeness~near~0";
alter table freehold_shelf."person~face~near~1" rename to "human~likeness~near~1";
alter table freehold_shelf."person~face~near~2" rename to "human~likeness~near~2";
alter table freehold_shelf."person~face~near~3" rename to "human~likeness~near~3";
alter table freehold_shelf."person~face~near~4" rename to "human~likeness~near~4";
alter table freehold_shelf."person~face~near~5" rename to "human~likeness~near~5";
alter table freehold_shelf."person~face~near~6" rename to "human~likeness~near~6";
alter table freehold_shelf."person~face~near~7" rename to "human~likeness~near~7";
alter index app."person~face~near~pkey" rename to "human~likeness~near~pkey";
alter index freehold_shelf."person~face~near~pkey~d" rename to "human~likeness~near~pkey~d";
alter index freehold_shelf."person~face~near~pkey~0" rename to "human~likeness~near~pkey~0";
alter index freehold_shelf."person~face~near~pkey~1" rename to "human~likeness~near~pkey~1";
alter index freehold_shelf."person~face~near~pkey~2" rename to "human~likeness~near~pkey~2";
alter index freehold_shelf."person~face~near~pkey~3" rename to "human~likeness~near~pkey~3";
alter index freehold_shelf."person~face~near~pkey~4" rename to "human~likeness~near~pkey~4";
alter index freehold_shelf."person~face~near~pkey~5" rename to "human~likeness~near~pkey~5";
alter index freehold_shelf."person~face~near~pkey~6" rename to "human~likeness~near~pkey~6";
alter index freehold_shelf."person~face~near~pkey~7" rename to "human~likeness~near~pkey~7";
alter table app."person~gait~near" rename to "human~gait~near";
alter table freehold_shelf."person~gait~near~d" rename to "human~gait~near~d";
alter table freehold_shelf."person~gait~near~0" rename to "human~gait~near~0";
alter table freehold_shelf."person~gait~near~1" rename to "human~gait~near~1";
alter table freehold_shelf."person~gait~near~2" rename to "human~gait~near~2";
alter table freehold_shelf."person~gait~near~3" rename to "human~gait~near~3";
alter table freehold_shelf."person~gait~near~4" rename to "human~gait~near~4";
alter table freehold_shelf."person~gait~near~5" rename to "human~gait~near~5";
alter table freehold_shelf."person~gait~near~6" rename to "human~gait~near~6";
alter table freehold_shelf."person~gait~near~7" rename to "human~gait~near~7";
alter index app."person~gait~near~pkey" rename to "human~gait~near~pkey";
alter index freehold_shelf."person~gait~near~pkey~d" rename to "human~gait~near~pkey~d";
alter index freehold_shelf."person~gait~near~pkey~0" rename to "human~gait~near~pkey~0";
alter index freehold_shelf."person~gait~near~pkey~1" rename to "human~gait~near~pkey~1";
alter index freehold_shelf."person~gait~near~pkey~2" rename to "human~gait~near~pkey~2";
alter index freehold_shelf."person~gait~near~pkey~3" rename to "human~gait~near~pkey~3";
alter index freehold_shelf."person~gait~near~pkey~4" rename to "human~gait~near~pkey~4";
alter index freehold_shelf."person~gait~near~pkey~5" rename to "human~gait~near~pkey~5";
alter index freehold_shelf."person~gait~near~pkey~6" rename to "human~gait~near~pkey~6";
alter index freehold_shelf."person~gait~near~pkey~7" rename to "human~gait~near~pkey~7";
alter table app."person~hand~near" rename to "human~hand~near";
alter table freehold_shelf."person~hand~near~d" rename to "human~hand~near~d";
alter table freehold_shelf."person~hand~near~0" rename to "human~hand~near~0";
alter table freehold_shelf."person~hand~near~1" rename to "human~hand~near~1";
alter table freehold_shelf."person~hand~near~2" rename to "human~hand~near~2";
alter table freehold_shelf."person~hand~near~3" rename to "human~hand~near~3";
alter table freehold_shelf."person~hand~near~4" rename to "human~hand~near~4";
alter table freehold_shelf."person~hand~near~5" rename to "human~hand~near~5";
alter table freehold_shelf."person~hand~near~6" rename to "human~hand~near~6";
alter table freehold_shelf."person~hand~near~7" rename to "human~hand~near~7";
alter index app."person~hand~near~pkey" rename to "human~hand~near~pkey";
alter index freehold_shelf."person~hand~near~pkey~d" rename to "human~hand~near~pkey~d";
alter index freehold_shelf."person~hand~near~pkey~0" rename to "human~hand~near~pkey~0";
alter index freehold_shelf."person~hand~near~pkey~1" rename to "human~hand~near~pkey~1";
alter index freehold_shelf."person~hand~near~pkey~2" rename to "human~hand~near~pkey~2";
alter index freehold_shelf."person~hand~near~pkey~3" rename to "human~hand~near~pkey~3";
alter index freehold_shelf."person~hand~near~pkey~4" rename to "human~hand~near~pkey~4";
alter index freehold_shelf."person~hand~near~pkey~5" rename to "human~hand~near~pkey~5";
alter index freehold_shelf."person~hand~near~pkey~6" rename to "human~hand~near~pkey~6";
alter index freehold_shelf."person~hand~near~pkey~7" rename to "human~hand~near~pkey~7";
alter table app."human" rename constraint "person~face~sealed" to "human~likeness~sealed";
alter table app."human" rename constraint "person~voice~sealed" to "human~voice~sealed";
alter table app."human" rename constraint "person~gait~sealed" to "human~gait~sealed";
alter table app."human" rename constraint "person~hand~sealed" to "human~hand~sealed";
alter table app."note" rename column "text" to "words";
alter table app."note" rename constraint "note~text~sealed" to "note~words~sealed";
alter index app."person~pkey" rename to "human~pkey";
alter index freehold_shelf."person~pkey~d" rename to "human~pkey~d";
alter index freehold_shelf."person~pkey~0" rename to "human~pkey~0";
alter index freehold_shelf."person~pkey~1" rename to "human~pkey~1";
alter index freehold_shelf."person~pkey~2" rename to "human~pkey~2";
alter index freehold_shelf."person~pkey~3" rename to "human~pkey~3";
alter index freehold_shelf."person~pkey~4" rename to "human~pkey~4";
alter index freehold_shelf."person~pkey~5" rename to "human~pkey~5";
alter index freehold_shelf."person~pkey~6" rename to "human~pkey~6";
alter index freehold_shelf."person~pkey~7" rename to "human~pkey~7";
create function freehold_shelf."human~hold"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  perform freehold.refuse_held(old.tenant_id, old."id");
  return old;
end';
create trigger "human~hold" before delete on app."human"
  for each row execute function freehold_shelf."human~hold"();
create function freehold_shelf."human~likeness~changed"() returns trigger language plpgsql as 'begin delete from app."human~likeness~near" c where c.tenant_id operator(pg_catalog.=) old.tenant_id and c.id operator(pg_catalog.=) old.id; return null; end';
create trigger "human~likeness~changed" after update of "likeness" on app."human" for each row
  when (old."likeness" is not null and old."likeness" is distinct from new."likeness") execute function freehold_shelf."human~likeness~changed"();
create function freehold_shelf."human~likeness~gone"() returns trigger language plpgsql as 'begin delete from app."human~likeness~near" c where c.tenant_id operator(pg_catalog.=) old.tenant_id and c.id operator(pg_catalog.=) old.id; return null; end';
create trigger "human~likeness~gone" after delete on app."human" for each row
  when (old."likeness" is not null) execute function freehold_shelf."human~likeness~gone"();
create function freehold_shelf."human~likeness~lacks"() returns trigger language plpgsql as 'begin if not exists (select from app."human~likeness~near" c where c.tenant_id operator(pg_catalog.=) new.tenant_id and c.id operator(pg_catalog.=) new.id)
  and exists (select from app."human" t where t.tenant_id operator(pg_catalog.=) new.tenant_id and t.id operator(pg_catalog.=) new.id and t."likeness" is not null)
  then perform freehold.copy_lacks(''app."human~likeness~near"''::regclass); end if; return null; end';
create constraint trigger "human~likeness~lacks" after insert or update of "likeness" on app."human" deferrable initially deferred for each row
  when (new."likeness" is not null) execute function freehold_shelf."human~likeness~lacks"();
create function freehold_shelf."human~likeness~emptied"() returns trigger language plpgsql as 'begin truncate app."human~likeness~near"; return null; end';
create trigger "human~likeness~emptied" after truncate on app."human" for each statement
  execute function freehold_shelf."human~likeness~emptied"();
create function freehold_shelf."human~gait~changed"() returns trigger language plpgsql as 'begin delete from app."human~gait~near" c where c.tenant_id operator(pg_catalog.=) old.tenant_id and c.id operator(pg_catalog.=) old.id; return null; end';
create trigger "human~gait~changed" after update of "gait" on app."human" for each row
  when (old."gait" is not null and old."gait" is distinct from new."gait") execute function freehold_shelf."human~gait~changed"();
create function freehold_shelf."human~gait~gone"() returns trigger language plpgsql as 'begin delete from app."human~gait~near" c where c.tenant_id operator(pg_catalog.=) old.tenant_id and c.id operator(pg_catalog.=) old.id; return null; end';
create trigger "human~gait~gone" after delete on app."human" for each row
  when (old."gait" is not null) execute function freehold_shelf."human~gait~gone"();
create function freehold_shelf."human~gait~lacks"() returns trigger language plpgsql as 'begin if not exists (select from app."human~gait~near" c where c.tenant_id operator(pg_catalog.=) new.tenant_id and c.id operator(pg_catalog.=) new.id)
  and exists (select from app."human" t where t.tenant_id operator(pg_catalog.=) new.tenant_id and t.id operator(pg_catalog.=) new.id and t."gait" is not null)
  then perform freehold.copy_lacks(''app."human~gait~near"''::regclass); end if; return null; end';
create constraint trigger "human~gait~lacks" after insert or update of "gait" on app."human" deferrable initially deferred for each row
  when (new."gait" is not null) execute function freehold_shelf."human~gait~lacks"();
create function freehold_shelf."human~gait~emptied"() returns trigger language plpgsql as 'begin truncate app."human~gait~near"; return null; end';
create trigger "human~gait~emptied" after truncate on app."human" for each statement
  execute function freehold_shelf."human~gait~emptied"();
create function freehold_shelf."human~hand~changed"() returns trigger language plpgsql as 'begin delete from app."human~hand~near" c where c.tenant_id operator(pg_catalog.=) old.tenant_id and c.id operator(pg_catalog.=) old.id; return null; end';
create trigger "human~hand~changed" after update of "hand" on app."human" for each row
  when (old."hand" is not null and old."hand" is distinct from new."hand") execute function freehold_shelf."human~hand~changed"();
create function freehold_shelf."human~hand~gone"() returns trigger language plpgsql as 'begin delete from app."human~hand~near" c where c.tenant_id operator(pg_catalog.=) old.tenant_id and c.id operator(pg_catalog.=) old.id; return null; end';
create trigger "human~hand~gone" after delete on app."human" for each row
  when (old."hand" is not null) execute function freehold_shelf."human~hand~gone"();
create function freehold_shelf."human~hand~lacks"() returns trigger language plpgsql as 'begin if not exists (select from app."human~hand~near" c where c.tenant_id operator(pg_catalog.=) new.tenant_id and c.id operator(pg_catalog.=) new.id)
  and exists (select from app."human" t where t.tenant_id operator(pg_catalog.=) new.tenant_id and t.id operator(pg_catalog.=) new.id and t."hand" is not null)
  then perform freehold.copy_lacks(''app."human~hand~near"''::regclass); end if; return null; end';
create constraint trigger "human~hand~lacks" after insert or update of "hand" on app."human" deferrable initially deferred for each row
  when (new."hand" is not null) execute function freehold_shelf."human~hand~lacks"();
create function freehold_shelf."human~hand~emptied"() returns trigger language plpgsql as 'begin truncate app."human~hand~near"; return null; end';
create trigger "human~hand~emptied" after truncate on app."human" for each statement
  execute function freehold_shelf."human~hand~emptied"();
create function freehold_shelf."note~near~outdated"() returns trigger language plpgsql as 'begin new."near" := null; return new; end';
create trigger "note~near~outdated" before update of "words" on app."note" for each row
  when (row(old."words") is distinct from row(new."words") and old."near" operator(pg_catalog.=) new."near")
  execute function freehold_shelf."note~near~outdated"();
create trigger "note~near~due" after insert or update of "words", "near" on app."note" for each row
  when (new."near" is null) execute function freehold.embedding_due('note', 'near');
create function freehold_shelf."note~near~changed"() returns trigger language plpgsql as 'begin delete from app."note~near~near" c where c.tenant_id operator(pg_catalog.=) old.tenant_id and c.id operator(pg_catalog.=) old.id; return null; end';
create trigger "note~near~changed" after update of "near", "words" on app."note" for each row
  when (old."near" is not null and old."near" is distinct from new."near") execute function freehold_shelf."note~near~changed"();
create function freehold_shelf."note~near~lacks"() returns trigger language plpgsql as 'begin if not exists (select from app."note~near~near" c where c.tenant_id operator(pg_catalog.=) new.tenant_id and c.id operator(pg_catalog.=) new.id)
  and exists (select from app."note" t where t.tenant_id operator(pg_catalog.=) new.tenant_id and t.id operator(pg_catalog.=) new.id and t."near" is not null)
  then perform freehold.copy_lacks(''app."note~near~near"''::regclass); end if; return null; end';
create constraint trigger "note~near~lacks" after insert or update of "near", "words" on app."note" deferrable initially deferred for each row
  when (new."near" is not null) execute function freehold_shelf."note~near~lacks"();
select freehold.sealed_renamed(array['person', 'person', 'person', 'person', 'note'], array['face', 'voice', 'gait', 'hand', 'text'], array['human', 'human', 'human', 'human', 'note'], array['likeness', 'voice', 'gait', 'hand', 'words']);
commit;

-- 2. add field human.eyes (additive)
begin;
alter table app."human" add column "eyes" bytea;
alter table app."human" alter column "eyes" set storage external;
alter table app."human" alter column "eyes" set statistics 0;
grant select ("eyes"), insert ("eyes"), update ("eyes") on app."human" to freehold_app;
select freehold.field_sealed('human', 'eyes');
alter table app."human" add constraint "human~eyes~sealed" check (pg_catalog.octet_length("eyes") >= 32 and pg_catalog.substr("eyes", 1, 2) = '\x0101'::bytea) not valid;
create table app."human~eyes~near" (
  tenant_id uuid not null default freehold.tenant(),
  id uuid not null,
  v freehold_ext.halfvec(3)
) partition by list (tenant_id);
alter table app."human~eyes~near" alter column v set storage main;
create table freehold_shelf."human~eyes~near~d" partition of app."human~eyes~near" default partition by hash (tenant_id);
create unlogged table freehold_shelf."human~eyes~near~0" partition of freehold_shelf."human~eyes~near~d" (constraint "human~eyes~near~pkey~0" primary key (tenant_id, id))
  for values with (modulus 8, remainder 0);
create unlogged table freehold_shelf."human~eyes~near~1" partition of freehold_shelf."human~eyes~near~d" (constraint "human~eyes~near~pkey~1" primary key (tenant_id, id))
  for values with (modulus 8, remainder 1);
create unlogged table freehold_shelf."human~eyes~near~2" partition of freehold_shelf."human~eyes~near~d" (constraint "human~eyes~near~pkey~2" primary key (tenant_id, id))
  for values with (modulus 8, remainder 2);
create unlogged table freehold_shelf."human~eyes~near~3" partition of freehold_shelf."human~eyes~near~d" (constraint "human~eyes~near~pkey~3" primary key (tenant_id, id))
  for values with (modulus 8, remainder 3);
create unlogged table freehold_shelf."human~eyes~near~4" partition of freehold_shelf."human~eyes~near~d" (constraint "human~eyes~near~pkey~4" primary key (tenant_id, id))
  for values with (modulus 8, remainder 4);
create unlogged table freehold_shelf."human~eyes~near~5" partition of freehold_shelf."human~eyes~near~d" (constraint "human~eyes~near~pkey~5" primary key (tenant_id, id))
  for values with (modulus 8, remainder 5);
create unlogged table freehold_shelf."human~eyes~near~6" partition of freehold_shelf."human~eyes~near~d" (constraint "human~eyes~near~pkey~6" primary key (tenant_id, id))
  for values with (modulus 8, remainder 6);
create unlogged table freehold_shelf."human~eyes~near~7" partition of freehold_shelf."human~eyes~near~d" (constraint "human~eyes~near~pkey~7" primary key (tenant_id, id))
  for values with (modulus 8, remainder 7);
alter table freehold_shelf."human~eyes~near~d" add constraint "human~eyes~near~pkey~d" primary key (tenant_id, id);
alter table app."human~eyes~near" add constraint "human~eyes~near~pkey" primary key (tenant_id, id);
alter table app."human~eyes~near"
  alter column "tenant_id" set statistics 0,
  alter column "id" set statistics 0,
  alter column "v" set statistics 0;
alter table app."human~eyes~near" enable row level security, force row level security;
alter table freehold_shelf."human~eyes~near~d" enable row level security, force row level security;
alter table freehold_shelf."human~eyes~near~0" enable row level security, force row level security;
alter table freehold_shelf."human~eyes~near~1" enable row level security, force row level security;
alter table freehold_shelf."human~eyes~near~2" enable row level security, force row level security;
alter table freehold_shelf."human~eyes~near~3" enable row level security, force row level security;
alter table freehold_shelf."human~eyes~near~4" enable row level security, force row level security;
alter table freehold_shelf."human~eyes~near~5" enable row level security, force row level security;
alter table freehold_shelf."human~eyes~near~6" enable row level security, force row level security;
alter table freehold_shelf."human~eyes~near~7" enable row level security, force row level security;
create policy wall on app."human~eyes~near" as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on app."human~eyes~near" for all to freehold_app using (true);
create trigger noted after insert or update or delete or truncate on app."human~eyes~near"
  for each statement execute function freehold.note();
grant select ("tenant_id", "id", "v"), insert ("tenant_id", "id", "v"), delete on app."human~eyes~near" to freehold_app;
create function freehold_shelf."human~eyes~changed"() returns trigger language plpgsql as 'begin delete from app."human~eyes~near" c where c.tenant_id operator(pg_catalog.=) old.tenant_id and c.id operator(pg_catalog.=) old.id; return null; end';
create trigger "human~eyes~changed" after update of "eyes" on app."human" for each row
  when (old."eyes" is not null and old."eyes" is distinct from new."eyes") execute function freehold_shelf."human~eyes~changed"();
create function freehold_shelf."human~eyes~gone"() returns trigger language plpgsql as 'begin delete from app."human~eyes~near" c where c.tenant_id operator(pg_catalog.=) old.tenant_id and c.id operator(pg_catalog.=) old.id; return null; end';
create trigger "human~eyes~gone" after delete on app."human" for each row
  when (old."eyes" is not null) execute function freehold_shelf."human~eyes~gone"();
create function freehold_shelf."human~eyes~lacks"() returns trigger language plpgsql as 'begin if not exists (select from app."human~eyes~near" c where c.tenant_id operator(pg_catalog.=) new.tenant_id and c.id operator(pg_catalog.=) new.id)
  and exists (select from app."human" t where t.tenant_id operator(pg_catalog.=) new.tenant_id and t.id operator(pg_catalog.=) new.id and t."eyes" is not null)
  then perform freehold.copy_lacks(''app."human~eyes~near"''::regclass); end if; return null; end';
create constraint trigger "human~eyes~lacks" after insert or update of "eyes" on app."human" deferrable initially deferred for each row
  when (new."eyes" is not null) execute function freehold_shelf."human~eyes~lacks"();
create function freehold_shelf."human~eyes~emptied"() returns trigger language plpgsql as 'begin truncate app."human~eyes~near"; return null; end';
create trigger "human~eyes~emptied" after truncate on app."human" for each statement
  execute function freehold_shelf."human~eyes~emptied"();
commit;

-- 3. change field human.voice (additive)
begin;
create table app."human~voice~near" (
  tenant_id uuid not null default freehold.tenant(),
  id uuid not null,
  v freehold_ext.vector(3)
) partition by list (tenant_id);
alter table app."human~voice~near" alter column v set storage main;
create table freehold_shelf."human~voice~near~d" partition of app."human~voice~near" default partition by hash (tenant_id);
create unlogged table freehold_shelf."human~voice~near~0" partition of freehold_shelf."human~voice~near~d" (constraint "human~voice~near~pkey~0" primary key (tenant_id, id))
  for values with (modulus 8, remainder 0);
create unlogged table freehold_shelf."human~voice~near~1" partition of freehold_shelf."human~voice~near~d" (constraint "human~voice~near~pkey~1" primary key (tenant_id, id))
  for values with (modulus 8, remainder 1);
create unlogged table freehold_shelf."human~voice~near~2" partition of freehold_shelf."human~voice~near~d" (constraint "human~voice~near~pkey~2" primary key (tenant_id, id))
  for values with (modulus 8, remainder 2);
create unlogged table freehold_shelf."human~voice~near~3" partition of freehold_shelf."human~voice~near~d" (constraint "human~voice~near~pkey~3" primary key (tenant_id, id))
  for values with (modulus 8, remainder 3);
create unlogged table freehold_shelf."human~voice~near~4" partition of freehold_shelf."human~voice~near~d" (constraint "human~voice~near~pkey~4" primary key (tenant_id, id))
  for values with (modulus 8, remainder 4);
create unlogged table freehold_shelf."human~voice~near~5" partition of freehold_shelf."human~voice~near~d" (constraint "human~voice~near~pkey~5" primary key (tenant_id, id))
  for values with (modulus 8, remainder 5);
create unlogged table freehold_shelf."human~voice~near~6" partition of freehold_shelf."human~voice~near~d" (constraint "human~voice~near~pkey~6" primary key (tenant_id, id))
  for values with (modulus 8, remainder 6);
create unlogged table freehold_shelf."human~voice~near~7" partition of freehold_shelf."human~voice~near~d" (constraint "human~voice~near~pkey~7" primary key (tenant_id, id))
  for values with (modulus 8, remainder 7);
alter table freehold_shelf."human~voice~near~d" add constraint "human~voice~near~pkey~d" primary key (tenant_id, id);
alter table app."human~voice~near" add constraint "human~voice~near~pkey" primary key (tenant_id, id);
alter table app."human~voice~near"
  alter column "tenant_id" set statistics 0,
  alter column "id" set statistics 0,
  alter column "v" set statistics 0;
alter table app."human~voice~near" enable row level security, force row level security;
alter table freehold_shelf."human~voice~near~d" enable row level security, force row level security;
alter table freehold_shelf."human~voice~near~0" enable row level security, force row level security;
alter table freehold_shelf."human~voice~near~1" enable row level security, force row level security;
alter table freehold_shelf."human~voice~near~2" enable row level security, force row level security;
alter table freehold_shelf."human~voice~near~3" enable row level security, force row level security;
alter table freehold_shelf."human~voice~near~4" enable row level security, force row level security;
alter table freehold_shelf."human~voice~near~5" enable row level security, force row level security;
alter table freehold_shelf."human~voice~near~6" enable row level security, force row level security;
alter table freehold_shelf."human~voice~near~7" enable row level security, force row level security;
create policy wall on app."human~voice~near" as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on app."human~voice~near" for all to freehold_app using (true);
create trigger noted after insert or update or delete or truncate on app."human~voice~near"
  for each statement execute function freehold.note();
grant select ("tenant_id", "id", "v"), insert ("tenant_id", "id", "v"), delete on app."human~voice~near" to freehold_app;
create function freehold_shelf."human~voice~changed"() returns trigger language plpgsql as 'begin delete from app."human~voice~near" c where c.tenant_id operator(pg_catalog.=) old.tenant_id and c.id operator(pg_catalog.=) old.id; return null; end';
create trigger "human~voice~changed" after update of "voice" on app."human" for each row
  when (old."voice" is not null and old."voice" is distinct from new."voice") execute function freehold_shelf."human~voice~changed"();
create function freehold_shelf."human~voice~gone"() returns trigger language plpgsql as 'begin delete from app."human~voice~near" c where c.tenant_id operator(pg_catalog.=) old.tenant_id and c.id operator(pg_catalog.=) old.id; return null; end';
create trigger "human~voice~gone" after delete on app."human" for each row
  when (old."voice" is not null) execute function freehold_shelf."human~voice~gone"();
create function freehold_shelf."human~voice~lacks"() returns trigger language plpgsql as 'begin if not exists (select from app."human~voice~near" c where c.tenant_id operator(pg_catalog.=) new.tenant_id and c.id operator(pg_catalog.=) new.id)
  and exists (select from app."human" t where t.tenant_id operator(pg_catalog.=) new.tenant_id and t.id operator(pg_catalog.=) new.id and t."voice" is not null)
  then perform freehold.copy_lacks(''app."human~voice~near"''::regclass); end if; return null; end';
create constraint trigger "human~voice~lacks" after insert or update of "voice" on app."human" deferrable initially deferred for each row
  when (new."voice" is not null) execute function freehold_shelf."human~voice~lacks"();
create function freehold_shelf."human~voice~emptied"() returns trigger language plpgsql as 'begin truncate app."human~voice~near"; return null; end';
create trigger "human~voice~emptied" after truncate on app."human" for each statement
  execute function freehold_shelf."human~voice~emptied"();
commit;

-- 4. change field human.gait (additive)
begin;
drop trigger "human~gait~changed" on app."human";
drop function freehold_shelf."human~gait~changed"();
drop trigger "human~gait~gone" on app."human";
drop function freehold_shelf."human~gait~gone"();
drop trigger "human~gait~lacks" on app."human";
drop function freehold_shelf."human~gait~lacks"();
drop trigger "human~gait~emptied" on app."human";
drop function freehold_shelf."human~gait~emptied"();
drop table app."human~gait~near";
commit;

-- 5. check field human.eyes (additive)
-- fails if a value is not sealed
begin;
alter table app."human" validate constraint "human~eyes~sealed";
commit;

-- 6. remove field human.hand (destructive: drop:human.hand)
begin;
drop trigger "human~hand~changed" on app."human";
drop function freehold_shelf."human~hand~changed"();
drop trigger "human~hand~gone" on app."human";
drop function freehold_shelf."human~hand~gone"();
drop trigger "human~hand~lacks" on app."human";
drop function freehold_shelf."human~hand~lacks"();
drop trigger "human~hand~emptied" on app."human";
drop function freehold_shelf."human~hand~emptied"();
drop table app."human~hand~near";
select freehold.fields_unsealed('human', 'hand');
alter table app."human" drop column "hand";
commit;

-- 7. remove entity gone (destructive: drop:gone)
begin;
drop table app."gone";
drop function freehold_shelf."gone~word~changed"();
drop function freehold_shelf."gone~word~gone"();
drop function freehold_shelf."gone~word~lacks"();
drop function freehold_shelf."gone~word~emptied"();
drop table app."gone~word~near";
select freehold.fields_unsealed('gone', null);
commit;

-- needs --allow drop:human.hand
-- needs --allow drop:gone