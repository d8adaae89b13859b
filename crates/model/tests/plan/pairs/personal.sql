-- 1. rename person to human, human.email to mail (additive)
-- servers that still have the old model fail until they have the new one
begin;
drop trigger "person~hold" on app."person";
drop function freehold_shelf."person~hold"();
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
alter table app."human" rename column "email" to "mail";
alter table app."human" rename column "email~lookup" to "mail~lookup";
alter table app."human" rename constraint "person~email~sealed" to "human~mail~sealed";
alter table app."human" rename constraint "person~email~lookup" to "human~mail~lookup";
alter table app."human" rename constraint "person~phone~sealed" to "human~phone~sealed";
alter table app."human" rename constraint "person~phone~lookup" to "human~phone~lookup";
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
alter index app."person~email~key" rename to "human~mail~key";
alter index freehold_shelf."person~email~key~d" rename to "human~mail~key~d";
alter index freehold_shelf."person~email~key~0" rename to "human~mail~key~0";
alter index freehold_shelf."person~email~key~1" rename to "human~mail~key~1";
alter index freehold_shelf."person~email~key~2" rename to "human~mail~key~2";
alter index freehold_shelf."person~email~key~3" rename to "human~mail~key~3";
alter index freehold_shelf."person~email~key~4" rename to "human~mail~key~4";
alter index freehold_shelf."person~email~key~5" rename to "human~mail~key~5";
alter index freehold_shelf."person~email~key~6" rename to "human~mail~key~6";
alter index freehold_shelf."person~email~key~7" rename to "human~mail~key~7";
alter index app."person~phone~idx" rename to "human~phone~idx";
alter index freehold_shelf."person~phone~idx~d" rename to "human~phone~idx~d";
alter index freehold_shelf."person~phone~idx~0" rename to "human~phone~idx~0";
alter index freehold_shelf."person~phone~idx~1" rename to "human~phone~idx~1";
alter index freehold_shelf."person~phone~idx~2" rename to "human~phone~idx~2";
alter index freehold_shelf."person~phone~idx~3" rename to "human~phone~idx~3";
alter index freehold_shelf."person~phone~idx~4" rename to "human~phone~idx~4";
alter index freehold_shelf."person~phone~idx~5" rename to "human~phone~idx~5";
alter index freehold_shelf."person~phone~idx~6" rename to "human~phone~idx~6";
alter index freehold_shelf."person~phone~idx~7" rename to "human~phone~idx~7";
create function freehold_shelf."human~hold"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  perform freehold.refuse_held(old.tenant_id, old."id");
  return old;
end';
create trigger "human~hold" before delete on app."human"
  for each row execute function freehold_shelf."human~hold"();
select freehold.sealed_renamed(array['person', 'person'], array['email', 'phone'], array['human', 'human'], array['mail', 'phone']);
commit;

-- 2. add field human.born (additive)
begin;
alter table app."human" add column "born" bytea;
alter table app."human" alter column "born" set storage external;
alter table app."human" alter column "born" set statistics 0;
grant select ("born"), insert ("born"), update ("born") on app."human" to freehold_app;
select freehold.field_sealed('human', 'born');
alter table app."human" add constraint "human~born~sealed" check (pg_catalog.octet_length("born") >= 32 and pg_catalog.substr("born", 1, 2) = '\x0101'::bytea) not valid;
commit;

-- 3. check field human.born (additive)
-- fails if a value is not sealed
begin;
alter table app."human" validate constraint "human~born~sealed";
commit;

-- 4. build index human(seen) (additive)
drop index concurrently if exists freehold_shelf."human~seen~idx~0";
create index concurrently "human~seen~idx~0" on freehold_shelf."human~0" (tenant_id, "seen");
drop index concurrently if exists freehold_shelf."human~seen~idx~1";
create index concurrently "human~seen~idx~1" on freehold_shelf."human~1" (tenant_id, "seen");
drop index concurrently if exists freehold_shelf."human~seen~idx~2";
create index concurrently "human~seen~idx~2" on freehold_shelf."human~2" (tenant_id, "seen");
drop index concurrently if exists freehold_shelf."human~seen~idx~3";
create index concurrently "human~seen~idx~3" on freehold_shelf."human~3" (tenant_id, "seen");
drop index concurrently if exists freehold_shelf."human~seen~idx~4";
create index concurrently "human~seen~idx~4" on freehold_shelf."human~4" (tenant_id, "seen");
drop index concurrently if exists freehold_shelf."human~seen~idx~5";
create index concurrently "human~seen~idx~5" on freehold_shelf."human~5" (tenant_id, "seen");
drop index concurrently if exists freehold_shelf."human~seen~idx~6";
create index concurrently "human~seen~idx~6" on freehold_shelf."human~6" (tenant_id, "seen");
drop index concurrently if exists freehold_shelf."human~seen~idx~7";
create index concurrently "human~seen~idx~7" on freehold_shelf."human~7" (tenant_id, "seen");

-- 5. add index human(seen) (additive)
begin;
create index "human~seen~idx" on only app."human" (tenant_id, "seen");
create index "human~seen~idx~d" on only freehold_shelf."human~d" (tenant_id, "seen");
alter index app."human~seen~idx" attach partition freehold_shelf."human~seen~idx~d";
alter index freehold_shelf."human~seen~idx~d" attach partition freehold_shelf."human~seen~idx~0";
alter index freehold_shelf."human~seen~idx~d" attach partition freehold_shelf."human~seen~idx~1";
alter index freehold_shelf."human~seen~idx~d" attach partition freehold_shelf."human~seen~idx~2";
alter index freehold_shelf."human~seen~idx~d" attach partition freehold_shelf."human~seen~idx~3";
alter index freehold_shelf."human~seen~idx~d" attach partition freehold_shelf."human~seen~idx~4";
alter index freehold_shelf."human~seen~idx~d" attach partition freehold_shelf."human~seen~idx~5";
alter index freehold_shelf."human~seen~idx~d" attach partition freehold_shelf."human~seen~idx~6";
alter index freehold_shelf."human~seen~idx~d" attach partition freehold_shelf."human~seen~idx~7";
commit;

-- 6. remove index human(phone~lookup) (additive)
begin;
drop index app."human~phone~idx";
commit;

-- 7. remove field human.phone (destructive: drop:human.phone)
begin;
alter table app."human" drop column "phone~lookup";
select freehold.fields_unsealed('human', 'phone');
alter table app."human" drop column "phone";
commit;

-- 8. remove entity gone (destructive: drop:gone)
begin;
drop table app."gone";
select freehold.fields_unsealed('gone', null);
commit;

-- needs --allow drop:human.phone
-- needs --allow drop:gone