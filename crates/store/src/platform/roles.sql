-- The three roles of a server. They belong to the server, not to the database, so nothing is altered that is right already:
-- databases of one server may be set up at the same time.
do $$
declare
  wanted record;
begin
  for wanted in select * from (values ('freehold_owner', false), ('freehold_gate', false), ('freehold_app', true)) as role (name, login) loop
    if not exists (select from pg_roles where rolname = wanted.name) then
      -- Only a superuser may change what a role must not have; so it is made without.
      execute format('create role %I %s noinherit', wanted.name, case when wanted.login then 'login' else 'nologin' end);
    end if;
    if exists (select from pg_roles where rolname = wanted.name and (rolcanlogin <> wanted.login or rolinherit)) then
      execute format('alter role %I %s noinherit', wanted.name, case when wanted.login then 'login' else 'nologin' end);
    end if;
    if exists (select from pg_roles where rolname = wanted.name and (rolcreaterole or rolcreatedb)) then
      execute format('alter role %I nocreaterole nocreatedb', wanted.name);
    end if;
    if exists (select from pg_roles where rolname = wanted.name and (rolsuper or rolbypassrls or rolreplication)) then
      execute format('alter role %I nosuperuser nobypassrls noreplication', wanted.name);
    end if;
    if not (select rolsuper from pg_roles where rolname = current_user)
       and not exists (select from pg_auth_members where roleid = wanted.name::regrole and member = current_user::regrole
                       and to_jsonb(pg_auth_members) ->> 'set_option' is distinct from 'false') then
      execute format('grant %I to %I', wanted.name, current_user);
    end if;
  end loop;
  if exists (select from pg_auth_members where member = 'freehold_app'::regrole) then
    raise exception 'freehold_app is a member of another role' using errcode = 'FH030';
  end if;
end $$;
