-- What several checks speak of. Each is put before those that name it.
-- The schemas of tenants' rows.
home (oid, name) as (select oid, nspname from pg_namespace where nspname in ('app', 'freehold_shelf')),
platform (oid) as (select oid from pg_namespace where nspname = 'freehold'),
house (oid, name) as (
  select oid, rolname from pg_roles
  where rolname in ('freehold_owner', 'freehold_gate', 'freehold_app', 'freehold_anonymous', 'freehold_control', 'freehold_project', 'freehold_watch', 'freehold_catalog')),
login (oid, name) as (select oid, rolname from pg_roles where rolname in ('freehold_app', 'freehold_anonymous', 'freehold_control', 'freehold_project')),
-- Whom a right must not reach: the logins, and everybody.
reach (oid, name) as (select oid, name from login union all select 0, 'public'),
-- Tables that hold tenants' rows, also where a part of one stands in another schema.
piece as not materialized (
  select c.oid, c.oid::regclass::text as name, c.relname, c.relnamespace, c.relkind, c.relispartition, c.relowner, c.relacl,
      c.relrowsecurity, c.relforcerowsecurity, c.relpartbound, t.attnum as tenant, t.attnotnull and t.atttypid = 'uuid'::regtype as has_tenant
    from pg_class c left join pg_attribute t on t.attrelid = c.oid and t.attname = 'tenant_id' and t.attnum > 0 and not t.attisdropped
    where c.relkind in ('r', 'p') and (c.relnamespace in (select oid from home)
      or c.oid >= 16384 and (select count(*) from pg_inherits i join pg_class p on p.oid = i.inhparent
        where i.inhrelid = c.oid and p.relnamespace in (select oid from home)) > 0)),
-- What names of partitions say; a slice of time is called by its day.
part as (
  select t.name, replace(t.relname, '-', '') as flat, lower(regexp_replace(t.relname, '^[^~]*~', '')) as rest,
      lower(regexp_replace(t.relname, '^.*~', '')) as last
    from piece t where t.relispartition and pg_get_expr(t.relpartbound, t.oid) !~ '^FOR VALUES FROM'),
-- The platform's own tables behind the wall.
walled as (
  select c.oid, c.oid::regclass::text as name, c.relrowsecurity, c.relforcerowsecurity or c.relname in ('embedding_due', 'change_log', 'projection', 'parked', 'job', 'blob') as relforcerowsecurity
    from pg_class c where c.relnamespace in (select oid from platform) and c.relname in ('embedding_due', 'import_mark', 'projection', 'parked', 'job', 'blob')),
-- Tables beside the model's that hold one tenant's rows by a check: copies that are to become partitions.
copy (oid) as (
  select k.conrelid from pg_constraint k join pg_class c on c.oid = k.conrelid and not c.relispartition and c.relkind = 'r'
    where k.contype = 'c' and k.convalidated and c.relnamespace = (select oid from home where name = 'freehold_shelf')
      and pg_get_expr(k.conbin, k.conrelid) ~ '^\(tenant_id = ''[0-9a-f-]{36}''::uuid\)$'),
policy as (
  select p.polrelid, p.polname,
      not p.polpermissive and p.polcmd = '*' and p.polroles = '{0}'
        and pg_get_expr(p.polqual, p.polrelid) = '(tenant_id = freehold.tenant())'
        and pg_get_expr(p.polwithcheck, p.polrelid) = '(tenant_id = freehold.tenant())' as is_wall,
      p.polpermissive and (p.polcmd = '*' and p.polroles = array[(select oid from login where name = 'freehold_app')]
          or p.polname = 'project' and p.polcmd in ('*', 'r') and p.polroles = array[(select oid from login where name = 'freehold_project')])
        and pg_get_expr(p.polqual, p.polrelid) = 'true'
        and coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'true') = 'true'
      -- What may be read without a key; of blobs, those of what may be.
      or p.polname = 'anonymous' and p.polpermissive and p.polcmd = 'r' and p.polroles = array[(select oid from login where name = 'freehold_anonymous')]
        and pg_get_expr(p.polqual, p.polrelid)
          = case p.polrelid when 'freehold.blob'::regclass then '((state = ''live''::text) AND freehold.is_open(entity))' else 'true' end
      -- A copy of one tenant's rows that is to become its partition is written by the owner's triggers.
      or p.polname = 'move' and p.polpermissive and p.polroles = array[(select oid from house where name = 'freehold_owner')]
        and p.polrelid in (select oid from copy) as is_use
    from pg_policy p),
-- Functions that are neither PostgreSQL's nor pgvector's.
fn as (
  select p.oid, p.oid::regprocedure::text as name, p.pronamespace, p.proname, p.proowner, p.prosecdef, p.proleakproof, p.provolatile,
      p.prosqlbody, p.prosrc, p.proconfig, p.proacl, p.prorettype
    from pg_proc p
    where p.oid >= 16384 and not exists (
      select from pg_depend d join pg_extension e on e.oid = d.refobjid
      where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e' and e.extname = 'vector')),
-- What each login may call outside of PostgreSQL's own functions and pgvector's.
allowed (role, name) as (values
  ('freehold_app', 'freehold.tenant()'), ('freehold_app', 'freehold.uuidv7()'), ('freehold_app', 'freehold.open(text)'),
  ('freehold_app', 'freehold.open(smallint,smallint,uuid,uuid,bigint,bigint,bytea)'),
  ('freehold_anonymous', 'freehold.tenant()'), ('freehold_anonymous', 'freehold.is_open(text)'),
  ('freehold_anonymous', 'freehold.open(smallint,smallint,uuid,uuid,bigint,bigint,bytea)'),
  ('freehold_control', 'freehold.platform()'), ('freehold_control', 'freehold.tenant_named(text)'),
  ('freehold_control', 'freehold.tenant_known(text)'), ('freehold_control', 'freehold.keys_of(uuid,uuid)'),
  ('freehold_control', 'freehold.add_key(uuid,uuid,text,text,text,integer,bigint,text)'), ('freehold_control', 'freehold.end_key(uuid,uuid,text)'),
  ('freehold_control', 'freehold.key_holder(text)'), ('freehold_control', 'freehold.current_model()'),
  ('freehold_control', 'freehold.due()'), ('freehold_control', 'freehold.pulse()'), ('freehold_control', 'freehold.wall_faults()'),
  ('freehold_control', 'freehold.watch(interval,interval,integer[])'), ('freehold_control', 'freehold.repair_login()'),
  ('freehold_app', 'freehold."position"()'), ('freehold_app', 'freehold.stamp(text[])'), ('freehold_anonymous', 'freehold.stamp(text[])'),
  ('freehold_app', 'freehold.copy_is_whole(oid)'), ('freehold_app', 'freehold.copy_lacks(oid)'), ('freehold_app', 'freehold.copy_refused(text,text)'),
  ('freehold_app', 'freehold.rows_removed(uuid,text,text,timestamp with time zone,bigint)'), ('freehold_app', 'freehold.rows_erased(uuid,uuid,text,text,bigint)'),
  ('freehold_control', 'freehold.copies_due(text[])'), ('freehold_control', 'freehold.copy_begin(uuid,text)'),
  ('freehold_control', 'freehold.copy_progress(uuid,text,text,bigint)'), ('freehold_control', 'freehold.copy_end(uuid,text,text,text[])'),
  ('freehold_control', 'freehold.stamps(uuid[],uuid[],smallint[],text[])'), ('freehold_control', 'freehold.tend_versions()'),
  ('freehold_control', 'freehold.exposed()'), ('freehold_control', 'freehold.cluster()'), ('freehold_control', 'freehold.projection_due(text,bigint)'),
  ('freehold_control', 'freehold.tend_log(interval)'), ('freehold_control', 'freehold.parked_units(bigint)'),
  ('freehold_control', 'freehold.replay(text)'), ('freehold_control', 'freehold.fresh(uuid,text[],xid8)'),
  ('freehold_control', 'freehold.build_due(text,integer,bigint)'), ('freehold_control', 'freehold.build_state(text,integer)'),
  ('freehold_control', 'freehold.enqueue(text,uuid,text,jsonb,interval,integer)'), ('freehold_control', 'freehold.job_take(text[],interval)'),
  ('freehold_control', 'freehold.job_hold(bigint,bigint,interval)'), ('freehold_control', 'freehold.job_fence(bigint,bigint)'),
  ('freehold_control', 'freehold.job_done(bigint,bigint,interval)'), ('freehold_control', 'freehold.job_failed(bigint,bigint,text)'),
  ('freehold_control', 'freehold.job_status()'), ('freehold_control', 'freehold.job_replay(text)'),
  ('freehold_control', 'freehold.projection_status(bigint)'),
  ('freehold_control', 'freehold.placements()'), ('freehold_control', 'freehold.placement_pulse()'),
  ('freehold_control', 'freehold.tenant_key_of(uuid,text,bigint)'), ('freehold_control', 'freehold.blob_begin(uuid,uuid,uuid,text,text,text,text,bigint,text,text,bigint,boolean)'), ('freehold_control', 'freehold.blob_names(uuid,text[])'),
  ('freehold_control', 'freehold.keystore_of()'), ('freehold_control', 'freehold.epoch_begin(bigint)'), ('freehold_control', 'freehold.epoch_ends(bigint)'),
  ('freehold_control', 'freehold.epoch_ended(uuid[],bigint,text,text,text)'), ('freehold_control', 'freehold.tenant_keys_waiting(uuid,bigint)'),
  ('freehold_control', 'freehold.tenant_key_rewrap(uuid,text,text,bigint)'), ('freehold_control', 'freehold.tenant_key_replace(uuid,bigint,text,bigint)'),
  ('freehold_control', 'freehold.tenant_key_settle(uuid,bigint)'), ('freehold_control', 'freehold.tenant_keys_all(uuid,bigint)'),
  ('freehold_control', 'freehold.subject_keys_waiting(uuid,uuid,bigint,bigint,bigint)'),
  ('freehold_control', 'freehold.subject_keys_moved(uuid,bigint,uuid[],smallint[],smallint[],text[],text[])'),
  ('freehold_control', 'freehold.subject_keys_all(uuid,uuid,bigint,bigint,bigint)'), ('freehold_control', 'freehold.blob_keys_waiting(uuid,uuid,bigint)'),
  ('freehold_control', 'freehold.blob_keys_moved(uuid,bigint,uuid[],text[],text[])'), ('freehold_control', 'freehold.blob_keys_all(uuid,uuid,bigint)'),
  ('freehold_control', 'freehold.erasures_unknown(uuid[])'), ('freehold_control', 'freehold.tenants_back(uuid[])'), ('freehold_control', 'freehold.tenant_close(uuid)'), ('freehold_control', 'freehold.receipt_restore(bigint,text,text,text)'),
  ('freehold_control', 'freehold.erasure_again(uuid,uuid,text,uuid)'),
  ('freehold_control', 'freehold.blob_finish(uuid,uuid,bigint,text,bigint)'), ('freehold_control', 'freehold.blob_give_up(uuid,uuid,boolean)'),
  ('freehold_control', 'freehold.blob_place(uuid,uuid)'), ('freehold_control', 'freehold.blobs_unowned()'),
  ('freehold_control', 'freehold.blobs_unowned_of(uuid,uuid,bigint)'), ('freehold_control', 'freehold.blobs_unowned_by(uuid,uuid,uuid,bigint)'), ('freehold_control', 'freehold.blob_keys_of(uuid,uuid[])'),
  ('freehold_control', 'freehold.blobs_offer(uuid,uuid[],uuid[],smallint[],smallint[],text[])'),
  ('freehold_control', 'freehold.blobs_own(uuid,bigint,uuid[],text[],uuid[],uuid[],smallint[],smallint[],text[])'),
  ('freehold_control', 'freehold.blobs_own_later(uuid,uuid[])'), ('freehold_control', 'freehold.blobs_expire(interval)'),
  ('freehold_control', 'freehold.blob_in_parts(uuid,uuid,text)'), ('freehold_control', 'freehold.blobs_doomed(bigint)'), ('freehold_control', 'freehold.blob_forget(uuid,uuid)'),
  ('freehold_control', 'freehold.blobs_of(uuid,uuid,bigint)'), ('freehold_control', 'freehold.blob_totals()'),
  ('freehold_control', 'freehold.blob_folders_gone(uuid,bigint)'), ('freehold_control', 'freehold.blob_folders_known(uuid[])'), ('freehold_control', 'freehold.blob_folder_forget(uuid)'),
  ('freehold_control', 'freehold.sealed_fields()'), ('freehold_control', 'freehold.subject_keys(uuid,uuid[])'),
  ('freehold_control', 'freehold.subject_keys_make(uuid,uuid[],smallint[],text[],bigint,boolean)'), ('freehold_control', 'freehold.held(uuid)'),
  ('freehold_control', 'freehold.opened_add(uuid,text[],text[],text[],bigint[])'),
  ('freehold_control', 'freehold.erasure_begin(uuid,uuid,text,uuid)'), ('freehold_control', 'freehold.erasure_of(uuid)'),
  ('freehold_control', 'freehold.erasures(bigint)'),
  ('freehold_control', 'freehold.erasure_cleaned(uuid,jsonb)'), ('freehold_control', 'freehold.erasure_failed(uuid,text)'),
  ('freehold_control', 'freehold.erasure_shred(uuid,interval)'), ('freehold_control', 'freehold.erasure_kept_over(uuid)'),
  ('freehold_control', 'freehold.erasure_end(uuid,bigint,uuid,text,text,text)'), ('freehold_control', 'freehold.receipt_last()'),
  ('freehold_control', 'freehold.receipts(bigint,bigint)'),
  ('freehold_control', 'freehold.hold_place(uuid,uuid,text,timestamp with time zone)'),
  ('freehold_control', 'freehold.hold_release(uuid)'), ('freehold_control', 'freehold.holds(uuid)'),
  ('freehold_control', 'freehold.tenants_active()'), ('freehold_control', 'freehold.expiry_due(bigint)'),
  ('freehold_control', 'freehold.expiry_done(uuid,bigint,bigint)'), ('freehold_control', 'freehold.expiry_lag()'),
  ('freehold_control', 'freehold.slices_gone(bigint)'), ('freehold_control', 'freehold.slice_receipted(bigint,bigint,text,text,text)'),
  ('freehold_control', 'freehold.removal_permit(uuid)'), ('freehold_control', 'freehold.rows_unreceipted(boolean,bigint)'),
  ('freehold_control', 'freehold.rows_receipted(bigint[],uuid,bigint,text,text,text)'),
  ('freehold_control', 'freehold.slices_ahead()'), ('freehold_control', 'freehold.export_begin(uuid,uuid,text,text,text[])'),
  ('freehold_control', 'freehold.export_end(uuid,bigint,bigint,text)'), ('freehold_control', 'freehold.exports_since(integer,bigint)'),
  ('freehold_control', 'freehold.opened_since(integer)'), ('freehold_control', 'freehold.privacy_totals()'),
  ('freehold_project', 'freehold.open(text)'), ('freehold_project', 'freehold.open(smallint,smallint,uuid,uuid,bigint,bigint,bytea)'),
  ('freehold_project', 'freehold.tenant()'), ('freehold_project', 'freehold.uuidv7()'),
  ('freehold_project', 'freehold.step(text,integer,bigint)'), ('freehold_project', 'freehold.projection_start(text,integer)'),
  ('freehold_project', 'freehold.changes(text,text[],bigint,bigint)'), ('freehold_project', 'freehold.step_done(text,integer,boolean,bigint)'),
  ('freehold_project', 'freehold.step_pause(text,integer,boolean,interval,text[],integer,bigint)'),
  ('freehold_project', 'freehold.step_filled(text,integer,text[],boolean,bigint)'),
  ('freehold_project', 'freehold.park(text,integer,text[],text,text)'), ('freehold_project', 'freehold.unpark(text,integer,text[])'),
  ('freehold_project', 'freehold.parked_due(text,integer,bigint)')),
-- Settings that were given to roles and databases, as far as they are for this database.
given (role, parameter, value) as (
  select s.setrole, split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
    from pg_db_role_setting s, unnest(s.setconfig) c
    where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))),
-- The settings of the servers' sessions.
setting (name, value) as not materialized (
  select s.name, coalesce((select g.value from given g join login l on l.oid = g.role and l.name = 'freehold_app' where g.parameter = s.name limit 1), s.setting)
    from pg_settings s),
version (number, full_name) as (
  select max(case s.name when 'server_version_num' then s.setting::integer end), max(case s.name when 'server_version' then s.setting end)
    from pg_settings s where s.name in ('server_version_num', 'server_version'))
