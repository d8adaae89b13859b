-- What only a superuser can do: in this database PUBLIC loses what in PostgreSQL's own catalogue says or does something
-- beyond the statement at hand. Rights on it belong to the database, so other databases of the server keep them.
-- A new major version of PostgreSQL brings new functions; setting up again takes them too.
do $$
declare
  known record;
begin
  for known in
    select p.oid::regprocedure as name from pg_proc p
    where p.pronamespace = 'pg_catalog'::regnamespace
      and has_function_privilege('public', p.oid, 'execute')
      and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype, 'language_handler'::regtype, 'internal'::regtype,
        'index_am_handler'::regtype, 'table_am_handler'::regtype, 'tsm_handler'::regtype, 'fdw_handler'::regtype)
      and (
        p.provolatile = 'v' and p.proname <> all (array['clock_timestamp', 'timeofday', 'random', 'random_normal', 'setseed',
          'gen_random_uuid', 'uuidv4', 'uuidv7', 'array_sample', 'array_shuffle', 'pg_is_in_recovery'])
        or p.provolatile <> 'v'
          and p.proname ~ '^(pg_|txid_|inet_(client|server)|has_|to_reg|database_to|schema_to|table_to|cursor_to|query_to|(col|obj|shobj)_description|row_security_active|aclexplode|makeaclitem)'
          and p.proname !~ '_(recv|send|in|out|is_visible)$'
          and p.proname <> all (array['pg_typeof', 'to_regtype', 'to_regtypemod', 'pg_column_size', 'pg_column_compression', 'pg_client_encoding', 'pg_backend_pid', 'pg_basetype',
            'pg_timezone_names', 'pg_timezone_abbrevs_abbrevs', 'pg_timezone_abbrevs_zone', 'pg_timezone_abbrevs', 'pg_input_is_valid',
            'pg_input_error_info', 'pg_trigger_depth', 'pg_collation_for', 'pg_encoding_to_char', 'pg_char_to_encoding', 'pg_encoding_max_length',
            'pg_size_pretty', 'pg_size_bytes', 'pg_get_keywords', 'pg_lsn_larger', 'pg_lsn_smaller'])
          and p.proname !~ '^pg_(snapshot|lsn|ndistinct|dependencies|mcv_list|node_tree|ddl_command|brin)_?(in|out|recv|send|eq|ne|lt|le|gt|ge|cmp|hash|hash_extended|mi|pli|mii)?$'
        or p.proname in ('age', 'mxid_age') and p.proargtypes[0] = 'xid'::regtype)
  loop
    execute format('revoke execute on function %s from public', known.name);
    execute format('grant execute on function %s to freehold_catalog', known.name);
  end loop;
  for known in
    select c.oid::regclass as name from pg_class c
    where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind in ('r', 'v')
      and (has_table_privilege('public', c.oid, 'select') or has_any_column_privilege('public', c.oid, 'select'))
      and c.relname <> all (array['pg_type', 'pg_namespace', 'pg_range', 'pg_enum', 'pg_timezone_names', 'pg_timezone_abbrevs'])
  loop
    execute format('grant select on %s to freehold_catalog', known.name);
    execute format('revoke select on %s from public', known.name);
  end loop;
  -- Some relations are open by columns.
  for known in
    select c.oid::regclass as name, string_agg(quote_ident(a.attname), ', ') as columns
    from pg_class c join pg_attribute a on a.attrelid = c.oid, aclexplode(a.attacl) x
    where c.relnamespace = 'pg_catalog'::regnamespace and x.grantee = 0 and x.privilege_type = 'SELECT' group by c.oid
  loop
    execute format('revoke select (%s) on %s from public', known.columns, known.name);
  end loop;
end $$;
revoke usage on schema information_schema from public;
revoke usage on language plpgsql, sql from public;
grant usage on language plpgsql, sql to freehold_owner, freehold_gate, freehold_watch;

-- Limits that the roles cannot lift.
do $$
begin
  if not exists (select from pg_db_role_setting where setrole = 'freehold_app'::regrole and setdatabase = 0 and setconfig @> '{temp_file_limit=1GB}') then
    alter role freehold_app set temp_file_limit = '1GB';
  end if;
  if not exists (select from pg_db_role_setting where setrole = 'freehold_anonymous'::regrole and setdatabase = 0 and setconfig @> '{temp_file_limit=1GB}') then
    alter role freehold_anonymous set temp_file_limit = '1GB';
  end if;
end $$;

-- Servers' logins can change no schema, whatever is granted to them: also not drop what they own, which is their rights.
create or replace function freehold.no_ddl() returns event_trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if session_user in ('freehold_app', 'freehold_anonymous', 'freehold_control', 'freehold_project')
    or current_user in ('freehold_app', 'freehold_anonymous', 'freehold_control', 'freehold_project') then
    raise exception '% is not for %', tg_tag, current_user using errcode = '42501';
  end if;
end $$;

-- A table that somebody makes beside the model gets its wall at birth, or is not made.
create or replace function freehold.guard() returns event_trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  made record;
  quiet text;
begin
  -- Apply makes walls of its own.
  if current_setting('freehold.applying', true) = 'on' then
    return;
  end if;
  for made in
    select c.oid, c.oid::regclass as name, c.relispartition,
        exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnotnull
                and a.atttypid = 'uuid'::regtype) as has_tenant,
        exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'wall') as has_wall
      from pg_event_trigger_ddl_commands() d join pg_class c on c.oid = d.objid
      where d.classid = 'pg_class'::regclass and d.object_type = 'table' and c.relkind in ('r', 'p')
        and c.relnamespace in ('app'::regnamespace, 'freehold_shelf'::regnamespace)
  loop
    if not made.has_tenant then
      raise exception '% has no column tenant_id uuid not null', made.name using errcode = '42501',
        hint = 'every table in the schema app belongs to tenants; put others into another schema';
    end if;
    execute format('alter table %s enable row level security', made.name);
    execute format('alter table %s force row level security', made.name);
    if not made.relispartition and not made.has_wall then
      execute format('create policy wall on %s as restrictive for all to public using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant())', made.name);
      execute format('create policy use on %s as permissive for all to freehold_app using (true) with check (true)', made.name);
    end if;
    select string_agg(format('alter column %I set statistics 0', attname), ', ') into quiet
      from pg_attribute where attrelid = made.oid and attnum > 0 and not attisdropped;
    execute format('alter table %s %s', made.name, quiet);
  end loop;
end $$;

alter function freehold.no_ddl() owner to freehold_gate;
alter function freehold.guard() owner to freehold_gate;

set local role freehold_gate;
create or replace function freehold.note_ddl() returns event_trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into freehold.ddl_log (tag, objects)
    select tg_tag, left(string_agg(distinct object_identity, ', '), 500) from pg_event_trigger_ddl_commands();
end $$;
revoke all on function freehold.no_ddl(), freehold.guard(), freehold.note_ddl() from public;
reset role;

do $$
begin
  if not exists (select from pg_event_trigger where evtname = 'freehold_no_ddl') then
    create event trigger freehold_no_ddl on ddl_command_start execute function freehold.no_ddl();
  end if;
  if not exists (select from pg_event_trigger where evtname = 'freehold_guard') then
    create event trigger freehold_guard on ddl_command_end when tag in ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO')
      execute function freehold.guard();
  end if;
  if not exists (select from pg_event_trigger where evtname = 'freehold_note_ddl') then
    create event trigger freehold_note_ddl on ddl_command_end execute function freehold.note_ddl();
  end if;
  alter event trigger freehold_no_ddl enable;
  alter event trigger freehold_guard enable;
  alter event trigger freehold_note_ddl enable;
end $$;
