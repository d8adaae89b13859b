-- Versions of what answers are made of: whether one that was kept is still what PostgreSQL would say.
--
-- A transaction that writes to a table leaves one note: whose rows, which table, which transaction. Notes are only added, so
-- that no writer waits for another, and a note is seen by exactly those snapshots that see what it tells of. The stamp of
-- some tables in a snapshot is made of the newest note that it sees, m, and of the transactions before m that it sees still
-- running. Which transactions up to m a snapshot sees follows from these two, and later ones left no note that it sees: two
-- snapshots with the same stamp see the same rows. A stamp may change although nothing did, when a transaction elsewhere that
-- was begun before m ends; it never stays although something did.
--
-- Rows of an entity are told apart by the last three digits of their ids, so that who reads rows by id need not read them again
-- because others were changed: `person/0af` stands for rows that were changed or removed, `person/*` for any of them. A row that
-- is new has no note of this kind, so such a stamp says nothing of rows that were not found.
--
-- Nothing of this is needed after a crash, so the tables are not logged: they are emptied together, and stamps begin anew
-- under another epoch. The epoch also counts for one run of the server alone, so that notes which came from elsewhere, with a
-- restored dump say, mean nothing here.
set local role freehold_gate;

create unlogged table if not exists freehold.version_note (
  -- Zero for all tenants.
  tenant_id uuid not null,
  -- The entity or read model, or some rows of it; * for all of them, ~blob for what is known of blobs.
  relation text not null,
  xid xid8 not null default pg_current_xact_id(),
  primary key (tenant_id, relation, xid)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.5);
create index if not exists version_note_xid_idx on freehold.version_note (xid);

create unlogged table if not exists freehold.version_epoch (
  only_one boolean primary key default true check (only_one),
  epoch uuid not null default gen_random_uuid(),
  started timestamptz not null default pg_postmaster_start_time(),
  -- Notes of transactions before this one have been looked through for older ones of the same key.
  pruned xid8 not null
);

-- Trigger on each table of rows: one statement may have changed something. A server's logins have one tenant open; whose
-- rows somebody else wrote, nobody knows.
create or replace function freehold.note() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  whose constant uuid := case when session_user in ('freehold_app', 'freehold_project') and tg_op <> 'TRUNCATE' then freehold.tenant()
      else '00000000-0000-0000-0000-000000000000' end;
begin
  insert into freehold.version_note (tenant_id, relation) values (whose, tg_table_name) on conflict do nothing;
  if tg_op <> 'INSERT' then
    insert into freehold.version_note (tenant_id, relation) values (whose, tg_table_name || '/*') on conflict do nothing;
  end if;
  return null;
end $$;

-- Trigger on each entity's table: these rows were changed or removed, each with the id that it had and still has. More than 16
-- are noted as any.
create or replace function freehold.note_rows() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  whose constant uuid := case when session_user in ('freehold_app', 'freehold_project') then freehold.tenant()
      else '00000000-0000-0000-0000-000000000000' end;
  parts text[];
  many boolean;
begin
  select array_agg(distinct right(c.id::text, 3)), count(*) > 16 into parts, many from (select id from changed limit 17) c;
  if parts is null then
    return null;
  end if;
  insert into freehold.version_note (tenant_id, relation)
    select whose, tg_table_name || part from unnest(''::text || case when many then array['/*'] else (select array_agg('/' || p) from unnest(parts) p) end) part
    on conflict do nothing;
  return null;
end $$;

-- Trigger on the platform's own tables after which no answer is known to be right: models that were applied, steps of an apply,
-- changes of the schema.
create or replace function freehold.note_all() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into freehold.version_note (tenant_id, relation) values ('00000000-0000-0000-0000-000000000000', '*') on conflict do nothing;
  return null;
end $$;
create or replace trigger noted after insert or update or delete or truncate on freehold.model_version for each statement execute function freehold.note_all();
create or replace trigger noted after insert or update or delete or truncate on freehold.apply_run for each statement execute function freehold.note_all();
create or replace trigger noted after insert on freehold.ddl_log for each statement execute function freehold.note_all();

-- Trigger on freehold.projector: another table has taken the place of the one that was read.
create or replace function freehold.note_projector() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into freehold.version_note (tenant_id, relation) values ('00000000-0000-0000-0000-000000000000', new.model) on conflict do nothing;
  return null;
end $$;
create or replace trigger noted after update of served on freehold.projector for each row execute function freehold.note_projector();

-- Trigger on freehold.blob, which servers write without a tenant open.
create or replace function freehold.note_blobs() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into freehold.version_note (tenant_id, relation) select distinct tenant_id, '~blob' from changed on conflict do nothing;
  return null;
end $$;
create or replace trigger noted_update after update on freehold.blob referencing new table as changed for each statement execute function freehold.note_blobs();
create or replace trigger noted_delete after delete on freehold.blob referencing old table as changed for each statement execute function freehold.note_blobs();

-- The stamp, 16 bytes, of these tables of a tenant in the snapshot of the statement that asks; null if there is no epoch. It
-- is a MAC, because what it is made of would tell a tenant's SQL how much all others write.
create or replace function freehold.stamp_of(tenant uuid, relations text[]) returns bytea
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  newest xid8;
begin
  select max(n.xid) into newest
    from unnest(relations || '*'::text) r (name) cross join unnest(array[tenant, '00000000-0000-0000-0000-000000000000']) t (id)
      cross join lateral (select v.xid from freehold.version_note v where v.tenant_id = t.id and v.relation = r.name order by v.xid desc limit 1) n;
  return (select substr(sha256(k.opad || sha256(k.ipad || convert_to(concat_ws('|', 'stamp', current_database(), e.epoch, tenant, array_to_string(relations, ','), newest,
        (select string_agg(x::text, ',' order by x) from pg_snapshot_xip(pg_current_snapshot()) x where x < newest)), 'UTF8'))), 1, 16)
    from freehold.version_epoch e, freehold.mac_key k where e.started = pg_postmaster_start_time() and k.kid = 0::smallint);
end $$;

-- How late a snapshot is: the transaction before which all have ended, and how many have ended. The second grows with each
-- transaction that ends, so of two snapshots that with the greater number sees all that the other sees.
create or replace function freehold.seen(out settled bigint, out ended bigint)
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  now constant pg_snapshot := pg_current_snapshot();
begin
  settled := pg_snapshot_xmin(now)::text::bigint;
  ended := pg_snapshot_xmax(now)::text::bigint - (select count(*) from pg_snapshot_xip(now));
end $$;

-- For a statement that reads these tables of the open tenant: the stamp of what it reads and how late its snapshot is, the
-- latter masked as by freehold.position(). Hexadecimal digits: 16 bytes drawn for the mask, two numbers, the stamp.
create or replace function freehold.stamp(relations text[]) returns text
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  stamp constant bytea := freehold.stamp_of(freehold.tenant(), relations);
  once constant bytea := uuid_send(gen_random_uuid());
  mask bytea;
  late record;
begin
  if stamp is null then
    return null;
  end if;
  select sha256(k.opad || sha256(k.ipad || convert_to('stamp', 'UTF8') || once)) into mask from freehold.mac_key k where k.kid = 1::smallint;
  select * into late from freehold.seen();
  return encode(once || int8send(late.settled # ('x' || encode(substr(mask, 1, 8), 'hex'))::bit(64)::bigint)
    || int8send(late.ended # ('x' || encode(substr(mask, 9, 8), 'hex'))::bit(64)::bigint) || stamp, 'hex');
end $$;

-- For servers: the stamps of several tenants' tables in one snapshot, and whether who asks may still ask. A list of tables is
-- one text, with commas.
create or replace function freehold.stamps(tenants uuid[], principals uuid[], roles smallint[], relations text[])
  returns table (allowed boolean, stamp text, settled bigint, ended bigint)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query select exists (select from freehold.tenant t where t.id = a.tenant and t.state = 'active') and freehold.vouched(a.tenant, a.principal, a.role),
      encode(freehold.stamp_of(a.tenant, string_to_array(a.tables, ',')), 'hex'), s.settled, s.ended
    from freehold.seen() s, unnest(tenants, principals, roles, relations) with ordinality a (tenant, principal, role, tables, n) order by a.n;
end $$;

-- Where there are more than 200,000 notes, the older half of those of some rows become notes of any rows, of the newest
-- transaction among them. Whoever sees such a note sees all that it stands for: it was made after that had been committed.
create or replace function freehold.fold_versions(border xid8) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  middle xid8;
begin
  if not exists (select from freehold.version_note offset 200000) then
    return;
  end if;
  select v.xid into middle from freehold.version_note v order by v.xid desc offset 100000 limit 1;
  with gone as (delete from freehold.version_note where relation like '%/___' and xid < least(middle, border) returning tenant_id, relation, xid)
    insert into freehold.version_note (tenant_id, relation, xid)
    select g.tenant_id, split_part(g.relation, '/', 1) || '/*', max(g.xid) from gone g group by 1, 2 on conflict do nothing;
  delete from freehold.version_note v where v.relation like '%/*'
    and exists (select from freehold.version_note n where n.tenant_id = v.tenant_id and n.relation = v.relation and n.xid > v.xid);
end $$;

-- Begins an epoch if there is none; else takes away notes that newer ones of the same key make needless. Says whether there is
-- an epoch that was there before.
create or replace function freehold.tend_versions() returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  mark xid8;
  border constant xid8 := pg_snapshot_xmin(pg_current_snapshot());
begin
  if not pg_try_advisory_xact_lock(7381238862) then
    return true;
  end if;
  select e.pruned into mark from freehold.version_epoch e where e.started = pg_postmaster_start_time();
  if mark is null then
    delete from freehold.version_epoch;
    delete from freehold.version_note;
    insert into freehold.version_epoch (pruned) values (border);
    return false;
  end if;
  delete from freehold.version_note v
    using (select f.tenant_id, f.relation, max(f.xid) as newest from freehold.version_note f where f.xid >= mark group by 1, 2) f
    where v.tenant_id = f.tenant_id and v.relation = f.relation and v.xid < f.newest;
  if found then
    update freehold.version_epoch set pruned = border;
  end if;
  if random() < 0.1 and pg_relation_size('freehold.version_note') > 16 << 20 then
    perform freehold.fold_versions(border);
  end if;
  return true;
end $$;

do $$
declare
  routine regprocedure;
begin
  for routine in select oid from pg_proc where pronamespace = 'freehold'::regnamespace and proowner = 'freehold_gate'::regrole
      and proname in ('note', 'note_all', 'note_rows', 'note_projector', 'note_blobs', 'stamp_of', 'seen', 'stamp', 'stamps', 'fold_versions', 'tend_versions') loop
    execute format('revoke all on function %s from public', routine);
  end loop;
end $$;
grant execute on function freehold.note(), freehold.note_rows() to freehold_owner;
grant execute on function freehold.stamp(text[]) to freehold_app, freehold_anonymous;
grant execute on function freehold.stamps(uuid[], uuid[], smallint[], text[]), freehold.tend_versions() to freehold_control;

reset role;

-- Tables that an earlier version made: all of them are noted, those of entities by row.
set local role freehold_owner;
do $$
declare
  made record;
begin
  for made in select c.oid::regclass as name, exists (select from pg_trigger g where g.tgrelid = c.oid and g.tgname = 'noted') as noted,
        exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and i.indnkeyatts = 2
          and (select array_agg(a.attname::text order by a.attname) from pg_attribute a where a.attrelid = c.oid and a.attnum = any (i.indkey::smallint[])) = '{id,tenant_id}') as by_id,
        exists (select from pg_trigger g where g.tgrelid = c.oid and g.tgname = 'noted_update') as by_row
      from pg_class c where c.relnamespace = 'app'::regnamespace and c.relkind = 'p' and not c.relispartition
        and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id') loop
    if made.by_id and not made.by_row then
      execute format('create or replace trigger noted after insert or truncate on %s for each statement execute function freehold.note()', made.name);
      execute format('create trigger noted_moved after update of tenant_id, id on %s for each statement execute function freehold.note()', made.name);
      execute format('create trigger noted_update after update on %s referencing new table as changed for each statement execute function freehold.note_rows()', made.name);
      execute format('create trigger noted_delete after delete on %s referencing old table as changed for each statement execute function freehold.note_rows()', made.name);
    elsif not made.noted then
      execute format('create trigger noted after insert or update or delete or truncate on %s for each statement execute function freehold.note()', made.name);
    end if;
  end loop;
end $$;
reset role;
