-- FH-R01 role-passes-walls severe managed: same
-- what: a role of Freehold that is a superuser, bypasses row-level security or may replicate
-- why: superusers, BYPASSRLS and REPLICATION pass every wall, so one injected statement reads all tenants
-- mend: alter role <role> nosuperuser nobypassrls noreplication
select r.rolname::text, concat_ws(', ', case when r.rolsuper then 'superuser' end, case when r.rolbypassrls then 'bypassrls' end,
    case when r.rolreplication then 'replication' end)
  from pg_roles r join house on house.oid = r.oid where r.rolsuper or r.rolbypassrls or r.rolreplication

-- FH-R02 login-is-member severe managed: same
-- what: a login of the servers that is a member of another role
-- why: SQL in a tenant's session can SET ROLE to whatever its login is a member of, and has its rights anyway
-- mend: revoke <role> from <login>
select l.name::text, 'member of ' || g.rolname
  from login l join pg_auth_members m on m.member = l.oid join pg_roles g on g.oid = m.roleid

-- FH-R03 role-may-make error managed: same
-- what: a role of Freehold that may make roles or databases without needing to
-- why: whoever makes roles gives rights; only freehold_watch needs it, to set the servers' login right
-- mend: alter role <role> nocreaterole nocreatedb
select r.rolname::text, concat_ws(', ', case when r.rolcreaterole then 'createrole' end, case when r.rolcreatedb then 'createdb' end)
  from pg_roles r join house on house.oid = r.oid
  where r.rolcreatedb or r.rolcreaterole and r.rolname <> 'freehold_watch'

-- FH-R04 role-logs-in error managed: same
-- what: freehold_owner, freehold_gate, freehold_watch or freehold_catalog may log in
-- why: they own the tables, the keys and the watchdog; nobody may reach them but by SET ROLE from an operator's session
-- mend: alter role <role> nologin
select r.rolname::text, 'may log in' from pg_roles r join house on house.oid = r.oid
  where r.rolcanlogin and r.rolname not in ('freehold_app', 'freehold_anonymous', 'freehold_control', 'freehold_project')

-- FH-R05 login-owns severe managed: same
-- what: an object that belongs to a login of the servers
-- why: an owner may drop its walls, grant on it and run code through it
-- mend: reassign owned by <login> to freehold_owner, in each database
-- Large objects are left to another check: any login may make them where nothing is locked down.
select l.name::text, 'owns ' || coalesce(pg_describe_object(d.classid, d.objid, d.objsubid), d.classid::regclass || ' ' || d.objid)
  from pg_shdepend d join login l on l.oid = d.refobjid
  where d.refclassid = 'pg_authid'::regclass and d.deptype = 'o' and d.classid <> 'pg_largeobject'::regclass
    and d.dbid in (0, (select oid from pg_database where datname = current_database()))

-- FH-R06 who-may-become error managed: same
-- what: somebody who may become a role of Freehold and is neither a superuser nor an operator (a member of both freehold_owner and freehold_gate)
-- why: a member of freehold_gate reads the token keys, a member of freehold_owner takes walls down
-- mend: revoke <role> from <member>
select g.name::text, m.rolname || ' is a member'
  from pg_auth_members a join house g on g.oid = a.roleid join pg_roles m on m.oid = a.member
  where not m.rolsuper
    and (g.name, m.rolname) not in (('freehold_catalog', 'freehold_owner'), ('freehold_catalog', 'freehold_gate'),
      ('freehold_catalog', 'freehold_watch'), ('freehold_app', 'freehold_watch'), ('freehold_anonymous', 'freehold_watch'), ('freehold_project', 'freehold_watch'))
    and (select count(distinct b.roleid) from pg_auth_members b join house h on h.oid = b.roleid
         where b.member = a.member and h.name in ('freehold_owner', 'freehold_gate')) < 2

-- FH-R07 login-settings error managed: same
-- what: a setting kept for a login of the servers, beside the limit of temporary files
-- why: any role may ALTER ROLE itself; what one tenant's SQL leaves there is in force in every later session of all tenants
-- mend: alter role <login> reset all; also: alter role <login> in database <database> reset all
select l.name::text, g.parameter || ' = ' || g.value from given g join login l on l.oid = g.role where g.parameter <> 'temp_file_limit'

-- FH-R08 weakening-settings error managed: same
-- what: a setting kept for this database, for all roles or for another role of Freehold that changes what statements mean or which code is loaded
-- why: session_replication_role switches triggers and references off, preloaded libraries and a role run other code, row_security makes walls fail
-- mend: alter database <database> reset <setting>; or: alter role <role> reset <setting>
select coalesce((select h.name::text from house h where h.oid = g.role), 'database ' || current_database()), g.parameter || ' = ' || g.value
  from given g
  where (g.role = 0 or g.role in (select oid from house where oid not in (select oid from login)))
    and g.parameter in ('row_security', 'session_replication_role', 'transform_null_equals', 'session_preload_libraries',
      'local_preload_libraries', 'allow_system_table_mods', 'role', 'standard_conforming_strings', 'lo_compat_privileges',
      'check_function_bodies', 'array_nulls', 'default_transaction_read_only')

-- FH-R09 no-temp-file-limit warning managed: residual one tenant's sort may fill the disk: only a superuser can limit temporary files
-- what: a login that runs tenants' statements, without a limit of temporary files
-- why: a large sort in one tenant's session fills the volume for all
-- mend: alter role <login> set temp_file_limit = '1GB'
select l.name::text, 'no temp_file_limit' from login l
  where l.name in ('freehold_app', 'freehold_anonymous')
    and not exists (select from given g where g.role = l.oid and g.parameter = 'temp_file_limit' and g.value <> '-1')
    and coalesce((select s.setting from pg_settings s where s.name = 'temp_file_limit'), '-1') = '-1'

-- FH-R10 no-connection-limit note managed: same
-- what: freehold_app without a connection limit
-- why: whoever has the login can take every connection of the server
-- mend: alter role freehold_app connection limit 200, or more than all servers' pools together
select r.rolname::text, 'no connection limit' from pg_roles r where r.rolname = 'freehold_app' and r.rolconnlimit = -1

-- FH-R11 password-kind error managed: no
-- what: a login of the servers whose password is not kept as a SCRAM verifier
-- why: an MD5 hash is as good as the password to whoever reads it, and is replayed on the wire
-- mend: freehold apply sets it; else: alter role <login> password '<SCRAM verifier>'
select a.rolname::text, case when a.rolpassword is null then 'no password' else 'not a SCRAM verifier' end
  from pg_authid a join login l on l.oid = a.oid where a.rolpassword is null or a.rolpassword not like 'SCRAM-SHA-256$%'

-- FH-R12 role-missing error managed: same
-- what: a role of Freehold that is not there
-- why: the rights of each are small because there are eight of them; without one an apply or the watchdog fails
-- mend: freehold apply
select w.name, 'there is no such role'
  from (values ('freehold_owner'), ('freehold_gate'), ('freehold_app'), ('freehold_anonymous'), ('freehold_control'), ('freehold_project'), ('freehold_watch'), ('freehold_catalog')) w (name)
  where w.name not in (select h.name from house h)
