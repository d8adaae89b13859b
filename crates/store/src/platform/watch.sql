-- The watchdog: limits that SQL in a tenant's session cannot lift, because every role may set its own timeouts, memory
-- and password. A server calls it each second.
set local role freehold_gate;
grant create on schema freehold to freehold_watch;
set local role freehold_watch;

create table if not exists freehold.login_verifier (
  only_one boolean primary key default true check (only_one),
  verifier text not null
);

-- Ends backends of freehold_app, freehold_anonymous and freehold_project in this database that run one statement or one transaction for too long, hold a lock on a
-- whole table or an advisory one, which no statement of a server takes, or are in `overgrown`. Answers with every backend
-- of theirs, and why it was ended if it was.
create or replace function freehold.watch(statement_max interval, transaction_max interval, overgrown integer[])
  returns table (backend integer, ended text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from pg_db_role_setting s where s.setrole = 'freehold_app'::regrole
             and exists (select from unnest(s.setconfig) c where c not like 'temp_file_limit=%')) then
    perform freehold.repair_login();
  end if;
  for backend, ended in
    select a.pid, case
        when a.pid = any (overgrown) then 'memory'
        when a.state = 'active' and clock_timestamp() - a.query_start > statement_max then 'statement'
        when clock_timestamp() - a.xact_start > transaction_max then 'transaction'
        when exists (select from pg_locks l where l.pid = a.pid and (l.locktype = 'advisory' or l.locktype = 'relation'
          and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))) then 'lock'
      end
    from pg_stat_activity a
    where a.usename in ('freehold_app', 'freehold_anonymous', 'freehold_project') and a.datname = current_database() and a.backend_type = 'client backend'
  loop
    if ended is not null then
      perform pg_terminate_backend(backend);
    end if;
    return next;
  end loop;
end $$;

-- Sets the password and the settings of freehold_app right: any role may change its own.
create or replace function freehold.repair_login() returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  known text := (select v.verifier from freehold.login_verifier v);
begin
  if known is null then
    raise exception 'there is no verifier to set' using errcode = 'FH031';
  end if;
  perform pg_advisory_xact_lock(7381238861);
  execute 'alter role freehold_app reset all';
  execute format('alter role freehold_app in database %I reset all', current_database());
  execute format('alter role freehold_app login valid until ''infinity'' password %L', known);
  raise log 'freehold: the login freehold_app was set right';
end $$;

revoke all on function freehold.watch(interval, interval, integer[]), freehold.repair_login() from public;
grant execute on function freehold.watch(interval, interval, integer[]), freehold.repair_login() to freehold_control;

set local role freehold_gate;
revoke create on schema freehold from freehold_watch;
reset role;
