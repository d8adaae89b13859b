-- FH-F01 app-executes error managed: same
-- what: a function that freehold_app or freehold_anonymous may execute and that is neither one it needs nor one of the operator's in app, granted to it by name
-- why: what SQL in a tenant's session can call is the surface of the wall
-- mend: revoke execute on routine <function> from public, <login>
select f.name, 'executable by ' || l.name from fn f, login l
  where l.name in ('freehold_app', 'freehold_anonymous') and has_function_privilege(l.oid, f.oid, 'execute')
    and (l.name, f.name) not in (select role, name from allowed)
    and not (f.pronamespace = (select oid from home where name = 'app') and not f.prosecdef and not has_function_privilege('public', f.oid, 'execute'))

-- FH-F02 definer-callable severe managed: same
-- what: a SECURITY DEFINER function that a login of the servers may execute and that is not one it needs
-- why: it runs with its owner's rights, whoever calls it
-- mend: revoke execute on routine <function> from public, freehold_app, freehold_control
select f.name, 'executable by ' || l.name from fn f, login l
  where f.prosecdef and has_function_privilege(l.oid, f.oid, 'execute')
    and (l.name, f.name) not in (select role, name from allowed)

-- FH-F03 control-executes error managed: same
-- what: a function that freehold_control may execute and that is not one of its questions
-- why: freehold_control is to know what it must and no more
-- mend: revoke execute on routine <function> from public, freehold_control
select f.name, 'executable by freehold_control' from fn f
  where has_function_privilege((select oid from login where name = 'freehold_control'), f.oid, 'execute')
    and f.name not in (select name from allowed where role = 'freehold_control')

-- FH-F04 definer-path severe managed: same
-- what: a SECURITY DEFINER function whose body is read with the caller's search_path
-- why: the caller decides what its names mean, and the owner's rights do the rest
-- mend: alter function <function> set search_path = pg_catalog, pg_temp
-- Freehold's own are written without a name to resolve, for speed, and known by their bodies.
select f.name, 'neither SET search_path nor a SQL-standard body' from fn f
  where f.prosecdef and f.prosqlbody is null
    and not coalesce((select bool_or(c ~ '^search_path="?(pg_catalog|"")') from unnest(f.proconfig) c), false)
    and not (f.pronamespace in (select oid from platform) and f.proname in ('open', 'tenant')
      and (f.proname::text, encode(sha256(convert_to(f.prosrc, 'UTF8')), 'hex')) in (select known.name, known.body from {bodies} known (name, body)))

-- FH-F05 body-changed severe managed: same
-- what: a function of the platform whose body is not one of this version's
-- why: freehold.open() and what it calls decide whose tenant is opened; who changes them is everybody
-- mend: freehold apply, after finding out who did it
select f.name, 'the body is not this version''s'
  from (select name, proname::text, encode(sha256(convert_to(coalesce(pg_get_function_sqlbody(oid), prosrc), 'UTF8')), 'hex') as body
    -- How a major version writes a parsed body down is known of these.
    from fn where pronamespace in (select oid from platform)
      and (prosqlbody is null or current_setting('server_version_num')::integer / 10000 in (16, 18))) f
  where f.proname in (select known.name from {bodies} known (name, body))
    and (f.proname, f.body) not in (select known.name, known.body from {bodies} known (name, body))

-- FH-F06 definer-superuser severe managed: same
-- what: a SECURITY DEFINER function of a superuser or of a role with BYPASSRLS that a login of the servers may execute
-- why: one flaw in it is a flaw in every wall of the server
-- mend: revoke execute on routine <function> from public, freehold_app, freehold_control
select p.oid::regprocedure::text, 'owned by ' || o.rolname || ', executable by ' || l.name
  from pg_proc p join pg_roles o on o.oid = p.proowner, login l
  where p.prosecdef and (o.rolsuper or o.rolbypassrls) and has_function_privilege(l.oid, p.oid, 'execute')

-- FH-F07 owner error managed: same
-- what: something in Freehold's schemas, or one of the schemas, that belongs to somebody else than it should
-- why: an owner may change it; freehold_owner has the tables, freehold_gate the platform, freehold_watch the watchdog
-- mend: alter <object> owner to <role>
select a.object, 'owned by ' || a.owner::regrole
  from (
    select 'schema ' || n.nspname as object, n.nspowner as owner, case n.nspname when 'freehold' then '{freehold_gate}'::name[] else '{freehold_owner}' end as proper
      from pg_namespace n where n.oid in (select oid from home union all select oid from platform)
    union all
    select c.oid::regclass::text, c.relowner, case when c.relnamespace in (select oid from home) then '{freehold_owner}'::name[] else '{freehold_gate,freehold_watch}' end
      from pg_class c where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relnamespace in (select oid from home union all select oid from platform)
    union all
    select f.name, f.proowner, case when f.pronamespace in (select oid from home) then '{freehold_owner}'::name[] else '{freehold_gate,freehold_watch}' end
      from fn f where f.pronamespace in (select oid from home union all select oid from platform)
  ) a
  where a.owner not in (select h.oid from house h where h.name = any (a.proper))

-- FH-F08 leakproof severe managed: same
-- what: a LEAKPROOF function that is not PostgreSQL's
-- why: PostgreSQL runs it before the wall, on the rows of all tenants, and believes that it tells nobody
-- mend: alter function <function> not leakproof
select p.oid::regprocedure::text, 'leakproof, owned by ' || p.proowner::regrole from pg_proc p where p.proleakproof and p.oid >= 16384

-- FH-F09 context severe managed: same
-- what: freehold.tenant() is not what the recorded mode needs: its owner, its volatility or its body is another
-- why: every wall asks this function; IMMUTABLE it would be answered once for all tenants, with another body by whoever wrote it
-- mend: freehold apply, after finding out who did it
select 'freehold.tenant()', concat_ws(', ',
    case when f.oid is null then 'it is missing' end,
    case when f.proowner <> (select oid from house where name = 'freehold_gate') then 'it is owned by ' || f.proowner::regrole end,
    case when f.provolatile <> 's' then 'it is not stable' end,
    case when f.proleakproof then 'it is leakproof' end,
    case when m.mode = 'seal' and (f.prosecdef or pg_get_function_sqlbody(f.oid) is distinct from 'RETURN (current_setting(''backtrace_functions''::text))::uuid')
      or m.mode = 'ticket' and (not f.prosecdef or f.prosqlbody is not null) then 'it is not that of mode ' || m.mode end)
  from (select mode from freehold.platform_version order by version desc limit 1) m
    left join fn f on f.pronamespace in (select oid from platform) and f.name = 'freehold.tenant()'
  where f.oid is null or f.proowner is distinct from (select oid from house where name = 'freehold_gate') or f.provolatile <> 's' or f.proleakproof
    or m.mode = 'seal' and (f.prosecdef or pg_get_function_sqlbody(f.oid) is distinct from 'RETURN (current_setting(''backtrace_functions''::text))::uuid')
    or m.mode = 'ticket' and (not f.prosecdef or f.prosqlbody is not null)

-- FH-F10 operator-or-cast warning managed: same
-- what: a cast or operator that is neither PostgreSQL's nor pgvector's
-- why: it changes what a comparison in a statement means, and which code runs for it
-- mend: drop cast (<from> as <to>); drop operator <operator>
select 'cast', c.castsource::regtype || ' to ' || c.casttarget::regtype from pg_cast c
  where c.oid >= 16384 and not exists (select from pg_depend d join pg_extension e on e.oid = d.refobjid
    where d.classid = 'pg_cast'::regclass and d.objid = c.oid and d.deptype = 'e' and e.extname = 'vector')
union all
select 'operator', o.oid::regoperator::text from pg_operator o
  where o.oid >= 16384 and not exists (select from pg_depend d join pg_extension e on e.oid = d.refobjid
    where d.classid = 'pg_operator'::regclass and d.objid = o.oid and d.deptype = 'e' and e.extname = 'vector')

-- FH-F11 language error managed: same
-- what: a language beside SQL and PL/pgSQL
-- why: untrusted languages run as the server's operating system user; every other is more code inside the wall
-- mend: drop language <language>
select l.lanname::text, case when l.lanpltrusted then 'trusted' else 'untrusted' end from pg_language l
  where l.lanname not in ('internal', 'c', 'sql', 'plpgsql')

-- FH-F12 extension error managed: same
-- what: an extension that reads files, other servers or raw pages, or runs programs
-- why: such functions pass the wall
-- mend: drop extension <extension>, or install it in another database
select e.extname::text, e.extversion from pg_extension e
  where e.extname in ('dblink', 'postgres_fdw', 'file_fdw', 'adminpack', 'pg_cron', 'http', 'pg_net', 'plpython3u', 'plperlu', 'pltclu', 'plv8', 'lo',
    'xml2', 'pageinspect', 'pg_buffercache', 'pgstattuple', 'pg_visibility', 'pg_walinspect', 'pg_freespacemap', 'pg_surgery', 'amcheck',
    'pg_stat_statements', 'pg_prewarm', 'pgrowlocks', 'tablefunc', 'oracle_fdw', 'mysql_fdw', 'tds_fdw', 'aws_s3', 'azure_storage', 'plrust')

-- FH-F13 secret-in-clear warning managed: same
-- what: a setting or a function whose text looks like it holds a secret
-- why: settings of roles and databases and the bodies of functions are read by every role where nothing is locked down
-- mend: take it out, and make a new secret
select 'setting', g.parameter from given g where g.parameter ~* '(secret|jwt|hmac|passw|token|api_?key)'
union all
select f.name, 'body' from fn f
  where f.pronamespace not in (select oid from platform) and f.prosrc ~* '(hmac|secret|passw|api_?key|jwt)[^\n]{0,20}[''"][A-Za-z0-9+/_-]{12,}'
