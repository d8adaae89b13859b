-- 1. add field person.back (additive)
begin;
alter table app."person" add column "back" uuid;
alter table app."person" alter column "back" set statistics 0;
grant select ("back"), insert ("back"), update ("back") on app."person" to freehold_app;
create function freehold_shelf."person~back~blob"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  if tg_op <> ''INSERT'' then
    if old."back" is not null and (tg_op = ''DELETE'' or old."back" is distinct from new."back") then
      perform freehold.blob_drop(old.tenant_id, old."back");
    end if;
  end if;
  if tg_op <> ''DELETE'' then
    if new."back" is not null and (tg_op = ''INSERT'' or old."back" is distinct from new."back") then
      perform freehold.blob_take(new.tenant_id, new."back", ''person'', ''back'', new.id, 50000000, array[]::pg_catalog.text[], ''person~back~blob'');
    end if;
  end if;
  return null;
end';
create trigger "person~back~blob" after insert or delete or update of "back" on app."person"
  for each row execute function freehold_shelf."person~back~blob"();
create function freehold_shelf."person~back~whose"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  if new."back" is not null and (tg_op = ''INSERT'' or old."back" is distinct from new."back") then
    perform freehold.blob_owned(new.tenant_id, new."back", new.id, 0::smallint);
  end if;
  return null;
end';
create trigger "person~back~whose" after insert or update of "back" on app."person"
  for each row execute function freehold_shelf."person~back~whose"();
select freehold.blobs_to_own('person', 'back');
commit;

-- 2. change field person.face (additive)
begin;
drop trigger "person~face~whose" on app."person";
drop function freehold_shelf."person~face~whose"();
select freehold.blobs_to_own('person', 'face');
commit;

-- 3. change field letter.scan (additive)
begin;
drop trigger "letter~scan~whose" on app."letter";
drop function freehold_shelf."letter~scan~whose"();
select freehold.blobs_to_own('letter', 'scan');
create function freehold_shelf."letter~scan~whose"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  if new."scan" is not null and (tg_op = ''INSERT'' or old."scan" is distinct from new."scan" or old."to" is distinct from new."to") then
    perform freehold.blob_owned(new.tenant_id, new."scan", new."to", 1::smallint);
  end if;
  return null;
end';
create trigger "letter~scan~whose" after insert or update of "scan", "to" on app."letter"
  for each row execute function freehold_shelf."letter~scan~whose"();
select freehold.blobs_to_own('letter', 'scan');
commit;

-- 4. change field letter.stamp (additive)
begin;
create function freehold_shelf."letter~stamp~whose"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  if new."stamp" is not null and (tg_op = ''INSERT'' or old."stamp" is distinct from new."stamp" or old."from" is distinct from new."from") then
    perform freehold.blob_owned(new.tenant_id, new."stamp", new."from", 0::smallint);
  end if;
  return null;
end';
create trigger "letter~stamp~whose" after insert or update of "stamp", "from" on app."letter"
  for each row execute function freehold_shelf."letter~stamp~whose"();
select freehold.blobs_to_own('letter', 'stamp');
commit;

-- 5. remove index note(of) (additive)
begin;
drop index app."note~of~idx";
commit;

-- 6. remove field note.drawing (destructive: drop:note.drawing)
begin;
drop trigger "note~drawing~blob" on app."note";
drop function freehold_shelf."note~drawing~blob"();
drop trigger "note~drawing~whose" on app."note";
drop function freehold_shelf."note~drawing~whose"();
select freehold.blobs_to_own('note', 'drawing');
alter table app."note" drop column "drawing";
select freehold.blobs_dropped('note', 'drawing');
commit;

-- 7. remove field note.of (destructive: drop:note.of)
begin;
drop trigger "note~of~hold" on app."note";
drop function freehold_shelf."note~of~hold"();
alter table app."note" drop constraint "note~of~fk";
alter table app."note" drop column "of";
commit;

-- needs --allow drop:note.drawing
-- needs --allow drop:note.of