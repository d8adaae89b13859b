-- FH-G01 beyond-rows severe managed: same
-- what: TRUNCATE, REFERENCES or TRIGGER on a table of tenants' rows for a login of the servers or everybody
-- why: TRUNCATE and the checks of references know no wall, and a trigger of one tenant runs in the sessions of all
-- mend: revoke truncate, references, trigger on <table> from <role>
select a.object, a.privilege || ' for ' || r.name
  from (
    select t.name as object, x.grantee, x.privilege_type as privilege from piece t, aclexplode(t.relacl) x where t.relacl is not null
    union all
    select t.name || '.' || c.attname, x.grantee, x.privilege_type from piece t join pg_attribute c on c.attrelid = t.oid and c.attacl is not null, aclexplode(c.attacl) x
  ) a join reach r on r.oid = a.grantee
  where a.privilege in ('TRUNCATE', 'REFERENCES', 'TRIGGER')

-- FH-G02 table-wide error managed: same
-- what: a right on a whole table of tenants' rows, other than DELETE of freehold_app on an entity and of freehold_project on a read model
-- why: table-wide SELECT shows ctid and xmin, by which neighbours are counted; table-wide UPDATE moves rows and locks the table; nobody but freehold_app has business there
-- mend: revoke <right> on <table> from <role>; freehold apply grants by column
select t.name, x.privilege_type || ' for ' || r.name
  from piece t, aclexplode(t.relacl) x join reach r on r.oid = x.grantee
  where not t.relispartition and x.privilege_type not in ('TRUNCATE', 'REFERENCES', 'TRIGGER')
    and not (x.privilege_type = 'DELETE' and r.name = 'freehold_app')
    and not (x.privilege_type = 'DELETE' and r.name = 'freehold_project'
      and exists (select from pg_policy p where p.polrelid = t.oid and p.polname = 'project' and p.polcmd = '*'))

-- FH-G03 partition-reachable severe managed: same
-- what: a right on a partition for anybody but its owner
-- why: the policies of the root do not hold where a partition is named itself
-- mend: revoke all on <partition> from <role>
select a.object, a.privilege || ' for ' || coalesce((select r.rolname::text from pg_roles r where r.oid = a.grantee), 'public')
  from (
    select t.name as object, x.grantee, x.privilege_type as privilege from piece t, aclexplode(t.relacl) x
      where t.relacl is not null and (t.relispartition or t.relnamespace = (select oid from home where name = 'freehold_shelf')) and x.grantee <> t.relowner
    union all
    select t.name || '.' || c.attname, x.grantee, x.privilege_type from piece t join pg_attribute c on c.attrelid = t.oid and c.attacl is not null, aclexplode(c.attacl) x
      where (t.relispartition or t.relnamespace = (select oid from home where name = 'freehold_shelf')) and x.grantee <> t.relowner
  ) a

-- FH-G04 tenant-updatable error managed: same
-- what: UPDATE on the columns tenant_id or id
-- why: a row that can change its tenant or its name can be moved out from under the references to it
-- mend: revoke update (tenant_id, id) on <table> from <role>
select t.name || '.' || c.attname, 'update for ' || r.name
  from piece t join pg_attribute c on c.attrelid = t.oid and c.attname in ('tenant_id', 'id'), aclexplode(c.attacl) x join reach r on r.oid = x.grantee
  where x.privilege_type = 'UPDATE'

-- FH-G05 other-role warning managed: same
-- what: another role with rights on a table of tenants' rows
-- why: the wall holds for it too, but its sessions are not the servers', and nobody watches them
-- mend: revoke all on <table> from <role>
select a.object, string_agg(distinct a.privilege, ', ') || ' for ' || a.role
  from (
    select t.name as object, g.rolname::text as role, x.privilege_type as privilege
      from piece t, aclexplode(t.relacl) x join pg_roles g on g.oid = x.grantee
      where not t.relispartition and x.grantee <> t.relowner and x.grantee not in (select oid from reach)
    union all
    select t.name, g.rolname::text, x.privilege_type
      from piece t join pg_attribute c on c.attrelid = t.oid, aclexplode(c.attacl) x join pg_roles g on g.oid = x.grantee
      where not t.relispartition and x.grantee <> t.relowner and x.grantee not in (select oid from reach)
  ) a group by a.object, a.role

-- FH-G06 secrets-readable severe managed: same
-- what: a right on the token keys, API keys or login verifiers for anybody but their owner, or on another of the platform's tables for the servers' logins or everybody
-- why: whoever reads mac_key signs tokens for every tenant; the rest says who the tenants are
-- mend: revoke all on <table> from <role>
select a.object, a.privilege || ' for ' || coalesce((select r.rolname::text from pg_roles r where r.oid = a.grantee), 'public')
  from (
    select c.oid::regclass::text as object, c.relname, c.relowner, x.grantee, x.privilege_type as privilege
      from pg_class c, aclexplode(c.relacl) x where c.relnamespace in (select oid from platform)
    union all
    select c.oid::regclass::text || '.' || k.attname, c.relname, c.relowner, x.grantee, x.privilege_type
      from pg_class c join pg_attribute k on k.attrelid = c.oid and k.attacl is not null, aclexplode(k.attacl) x where c.relnamespace in (select oid from platform)
  ) a
  where a.grantee <> a.relowner
    and (a.relname in ('mac_key', 'api_key', 'login_verifier', 'tenant_key', 'subject_key', 'blob_offer') or a.grantee in (select oid from reach))
    and not (a.relname in ('embedding_due', 'import_mark') and a.privilege in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
      and a.grantee = (select oid from login where name = 'freehold_app'))
    and not (a.relname = 'blob' and a.object not in ('freehold.blob', 'freehold.blob.key', 'freehold.blob.object') and a.privilege = 'SELECT'
      and a.grantee in (select oid from login where name in ('freehold_app', 'freehold_anonymous')))

-- FH-G07 platform-readable warning managed: same
-- what: another role with rights on the platform's own tables
-- why: they say which tenants there are, what was applied and what operators did
-- mend: revoke all on <table> from <role>
select c.oid::regclass::text, x.privilege_type || ' for ' || g.rolname
  from pg_class c, aclexplode(c.relacl) x join pg_roles g on g.oid = x.grantee
  where c.relnamespace in (select oid from platform) and x.grantee <> c.relowner and x.grantee not in (select oid from reach)
    and c.relname not in ('mac_key', 'api_key', 'login_verifier', 'tenant_key', 'subject_key', 'blob_offer')
    -- The triggers of the change log draw from it.
    and c.relname <> 'change_seq'

-- FH-G08 column-for-others error managed: same
-- what: a right on columns of tenants' rows for freehold_control or everybody
-- why: freehold_control asks the platform's questions and never runs a tenant's statement
-- mend: revoke all (<column>) on <table> from <role>
select t.name || '.' || c.attname, x.privilege_type || ' for ' || r.name
  from piece t join pg_attribute c on c.attrelid = t.oid, aclexplode(c.attacl) x join reach r on r.oid = x.grantee
  where r.name not in ('freehold_app', 'freehold_anonymous', 'freehold_project') and not t.relispartition and x.privilege_type <> 'REFERENCES'

-- FH-G09 schema-open severe managed: same
-- what: a schema in which a login of the servers may make objects, or usage of freehold_shelf
-- why: an object made there takes the place of another in somebody's search path; the shelves hold the partitions themselves
-- mend: revoke create on schema <schema> from public, <login>; revoke usage on schema freehold_shelf from public, <login>
select n.nspname::text, case when has_schema_privilege(l.oid, n.oid, 'create') then 'create' else 'usage' end || ' for ' || l.name
  from pg_namespace n, login l
  where n.nspname !~ '^pg_(toast_)?temp_'
    and (has_schema_privilege(l.oid, n.oid, 'create') or n.nspname = 'freehold_shelf' and has_schema_privilege(l.oid, n.oid, 'usage'))

-- FH-G10 schema-usable warning managed: same
-- what: usage of a schema that is none of Freehold's for a login of the servers
-- why: what is in it was made without regard to tenants
-- mend: revoke usage on schema <schema> from public, <login>
select n.nspname::text, 'usage for ' || l.name
  from pg_namespace n, login l
  where n.nspname !~ '^pg_(toast_)?temp_' and has_schema_privilege(l.oid, n.oid, 'usage')
    and n.nspname not in ('pg_catalog', 'information_schema', 'freehold', 'freehold_ext', 'freehold_shelf')
    and not (n.nspname = 'app' and l.name in ('freehold_app', 'freehold_anonymous', 'freehold_project'))

-- FH-G11 database-open error managed: same
-- what: CREATE or TEMPORARY on the database for a login of the servers
-- why: a temporary table is found before any other and lives on in the pooled connection: the next tenant's rows land in it
-- mend: revoke create, temporary on database <database> from public, <login>
select current_database()::text, right_name || ' for ' || l.name
  from login l, unnest(array['CREATE', 'TEMPORARY']) right_name where has_database_privilege(l.oid, current_database(), right_name)

-- FH-G12 public-connect warning managed: same
-- what: every role of the server may connect to this database
-- why: roles of other databases have no business here
-- mend: revoke connect on database <database> from public
select current_database()::text, 'connect for public'
  from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x
  where d.datname = current_database() and x.grantee = 0 and x.privilege_type = 'CONNECT'

-- FH-G13 sequence warning managed: same
-- what: a right on a sequence for a login of the servers
-- why: a sequence that tenants share tells how much the others write, and setval breaks them all
-- mend: revoke all on sequence <sequence> from public, <login>; ids are made by freehold.uuidv7()
select c.oid::regclass::text, 'usable by ' || l.name
  from pg_class c, login l
  where c.relkind = 'S' and (has_sequence_privilege(l.oid, c.oid, 'usage') or has_sequence_privilege(l.oid, c.oid, 'select')
    or has_sequence_privilege(l.oid, c.oid, 'update'))

-- FH-G14 default-rights error managed: same
-- what: default privileges that give a login of the servers, or everybody, rights on objects yet to be made
-- why: what the next migration makes is open before anybody has looked at it
-- mend: alter default privileges for role <owner> revoke all on tables from <role>; likewise sequences, functions, schemas
select d.defaclrole::regrole::text, x.privilege_type || ' on ' || case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences'
    when 'f' then 'functions' when 'T' then 'types' when 'n' then 'schemas' else 'objects' end || ' for ' || r.name
  from pg_default_acl d, aclexplode(d.defaclacl) x join reach r on r.oid = x.grantee

-- FH-G15 functions-born-open warning managed: same
-- what: freehold_owner, freehold_gate or freehold_watch without default privileges that take new functions from everybody
-- why: PostgreSQL lets everybody execute a new function
-- mend: alter default privileges for role <role> revoke execute on functions from public
select h.name::text, 'new functions are open to everybody' from house h
  where h.name in ('freehold_owner', 'freehold_gate', 'freehold_watch')
    and not exists (select from pg_default_acl d where d.defaclrole = h.oid and d.defaclnamespace = 0 and d.defaclobjtype = 'f'
      and not exists (select from aclexplode(d.defaclacl) x where x.grantee = 0))

-- FH-G16 grant-option error managed: same
-- what: a right on Freehold's tables, functions or schemas that its holder may pass on
-- why: one tenant's SQL could give it to everybody
-- mend: revoke grant option for <right> on <object> from <role>
select a.object, a.privilege || ' with grant option for ' || coalesce((select r.rolname::text from pg_roles r where r.oid = a.grantee), 'public')
  from (
    select c.oid::regclass::text as object, c.relowner as owner, x.* from pg_class c, aclexplode(c.relacl) x
      where c.relnamespace in (select oid from home union all select oid from platform)
    union all
    select c.oid::regclass::text || '.' || k.attname, c.relowner, x.* from pg_class c join pg_attribute k on k.attrelid = c.oid, aclexplode(k.attacl) x
      where c.relnamespace in (select oid from home union all select oid from platform)
    union all
    select f.name, f.proowner, x.* from fn f, aclexplode(f.proacl) x
    union all
    select n.nspname::text, n.nspowner, x.* from pg_namespace n, aclexplode(n.nspacl) x
      where n.oid in (select oid from home union all select oid from platform)
  ) a (object, owner, grantor, grantee, privilege, is_grantable)
  where a.is_grantable and a.grantee <> a.owner

-- FH-G17 parameter error managed: same
-- what: a parameter that a login of the servers, or everybody, may set beyond what every role may
-- why: superusers' parameters switch off logging, triggers and limits
-- mend: revoke set, alter system on parameter <parameter> from <role>
select a.parname, x.privilege_type || ' for ' || r.name
  from pg_parameter_acl a, aclexplode(a.paracl) x join reach r on r.oid = x.grantee where a.parname <> 'backtrace_functions'

-- FH-G18 foreign-server error managed: same
-- what: a foreign server or foreign-data wrapper that a login of the servers may use
-- why: through it a tenant's session reaches other databases, and carries rows out
-- mend: revoke usage on foreign server <server> from public, <login>; revoke usage on foreign data wrapper <wrapper> from public, <login>
select 'server ' || s.srvname, 'usable by ' || l.name from pg_foreign_server s, login l where has_server_privilege(l.oid, s.oid, 'usage')
union all
select 'wrapper ' || w.fdwname, 'usable by ' || l.name from pg_foreign_data_wrapper w, login l where has_foreign_data_wrapper_privilege(l.oid, w.oid, 'usage')

-- FH-G19 anonymous-beyond-model error managed: same
-- what: a right of freehold_anonymous on tenants' rows that is more than to read, or is not bound to one of its policies
-- why: requests without a key run as this login: whatever it may do, anybody may
-- mend: revoke all on <table> from freehold_anonymous; freehold apply opens what the model opens
select a.object, a.privilege || ' for freehold_anonymous'
  from (
    select t.oid, t.name as object, x.grantee, x.privilege_type as privilege from piece t, aclexplode(t.relacl) x where t.relacl is not null
    union all
    select t.oid, t.name || '.' || c.attname, x.grantee, x.privilege_type
      from piece t join pg_attribute c on c.attrelid = t.oid and c.attacl is not null, aclexplode(c.attacl) x
  ) a
  where a.grantee = (select oid from login where name = 'freehold_anonymous')
    and (a.privilege <> 'SELECT' or not exists (select from pg_policy p where p.polrelid = a.oid and p.polname = 'anonymous'))

-- FH-G20 anonymous-undeclared error managed: same
-- what: a table that anybody may read without a key although the applied model does not say so, or may not although it does
-- why: what is open to everybody is to stand in the model, where it is reviewed
-- mend: declare it with `anonymous = "read"` and apply; or: revoke all on <table> from freehold_anonymous; drop policy anonymous on <table>
select t.name, case when o.is_open then 'open, and the model does not say so' else 'shut, and the model opens it' end
  from piece t join home h on h.oid = t.relnamespace and h.name = 'app'
    cross join lateral (select has_any_column_privilege((select oid from login where name = 'freehold_anonymous'), t.oid, 'select') as is_open) o
  where not t.relispartition and o.is_open <> (t.relname = any ({open}))
