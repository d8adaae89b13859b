-- The roles of a server. They belong to the server, not to the database, so nothing is altered that is right already:
-- databases of one server may be set up at the same time.
--
--   freehold_owner    owns the model's tables
--   freehold_gate     owns the platform's tables and functions; the one role that may set the sealed parameter
--   freehold_app      logs in to run tenants' statements, and nothing else
--   freehold_control  logs in for the servers' own questions; never runs a tenant's statement, has no right on any table
--   freehold_anonymous  logs in to run what is asked without a key: its grants say which relations those are
--   freehold_project  logs in for the workers: reads a tenant's rows and writes its read models, by compiled statements alone
--   freehold_watch    sees and ends the backends of freehold_app, freehold_anonymous and freehold_project, and sets the login of the first right again
--   freehold_catalog  has what PUBLIC loses of PostgreSQL's own catalogue
do $$
declare
  wanted record;
begin
  for wanted in select * from (values
      ('freehold_owner', false, true, false), ('freehold_gate', false, true, false), ('freehold_app', true, false, false),
      ('freehold_anonymous', true, false, false),
      ('freehold_control', true, false, false), ('freehold_project', true, false, false), ('freehold_watch', false, true, true), ('freehold_catalog', false, false, false)
    ) as role (name, login, inherit, createrole)
  loop
    if not exists (select from pg_roles where rolname = wanted.name) then
      -- Only a superuser may change what a role must not have; so it is made without.
      execute format('create role %I', wanted.name);
    end if;
    if exists (select from pg_roles where rolname = wanted.name and (rolcanlogin <> wanted.login or rolinherit <> wanted.inherit)) then
      execute format('alter role %I %s %s', wanted.name, case when wanted.login then 'login' else 'nologin' end,
        case when wanted.inherit then 'inherit' else 'noinherit' end);
    end if;
    if exists (select from pg_roles where rolname = wanted.name and rolcreaterole <> wanted.createrole) then
      execute format('alter role %I %s', wanted.name, case when wanted.createrole then 'createrole' else 'nocreaterole' end);
    end if;
    if exists (select from pg_roles where rolname = wanted.name and rolcreatedb) then
      execute format('alter role %I nocreatedb', wanted.name);
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
  if exists (select from pg_auth_members where member in ('freehold_app'::regrole, 'freehold_anonymous'::regrole, 'freehold_control'::regrole, 'freehold_project'::regrole)) then
    raise exception 'a login of Freehold is a member of another role' using errcode = 'FH030';
  end if;
  for wanted in select * from (values
      ('freehold_catalog', 'freehold_owner', false), ('freehold_catalog', 'freehold_gate', false),
      ('freehold_catalog', 'freehold_watch', false), ('freehold_app', 'freehold_watch', true), ('freehold_project', 'freehold_watch', false), ('freehold_anonymous', 'freehold_watch', false)
    ) as membership (role, member, admin)
  loop
    if not exists (select from pg_auth_members where roleid = wanted.role::regrole and member = wanted.member::regrole
                   and admin_option = wanted.admin) then
      execute format('grant %I to %I %s', wanted.role, wanted.member, case when wanted.admin then 'with admin option' else '' end);
    end if;
  end loop;
end $$;
