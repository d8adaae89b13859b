-- FH-M01 seal-settable severe managed: same
-- what: somebody beside freehold_gate may set backtrace_functions
-- why: in mode seal the tenant of a transaction stands in it: who sets it chooses the tenant
-- mend: revoke set, alter system on parameter backtrace_functions from <role>
select a.parname, x.privilege_type || ' for ' || coalesce((select r.rolname::text from pg_roles r where r.oid = x.grantee), 'public')
  from pg_parameter_acl a, aclexplode(a.paracl) x
  where a.parname = 'backtrace_functions' and x.grantee not in (select r.oid from pg_roles r where r.rolsuper)
    and not (x.grantee = (select oid from house where name = 'freehold_gate') and x.privilege_type = 'SET' and not x.is_grantable)

-- FH-M02 seal-preset severe managed: same
-- what: backtrace_functions has a value before any tenant is opened
-- why: in mode seal every session that opens nothing would act in the tenant that the value names, and every opening is refused
-- mend: alter system reset backtrace_functions; alter role <role> reset backtrace_functions; alter database <database> reset backtrace_functions
select coalesce((select r.rolname::text from pg_roles r where r.oid = g.role), 'database'), 'backtrace_functions = ' || g.value
  from given g where g.parameter = 'backtrace_functions'
union all
select 'server', 'backtrace_functions = ' || s.reset_val from pg_settings s where s.name = 'backtrace_functions' and s.reset_val <> ''

-- FH-M03 seal-not-granted error managed: same
-- what: the platform is in mode seal, and freehold_gate may not set backtrace_functions
-- why: no tenant can be opened
-- mend: grant set on parameter backtrace_functions to freehold_gate
select 'freehold_gate', 'may not set backtrace_functions'
  from (select mode from freehold.platform_version order by version desc limit 1) m
  where m.mode = 'seal' and not has_parameter_privilege((select oid from house where name = 'freehold_gate'), 'backtrace_functions', 'set')

-- FH-M04 keys-missing error managed: same
-- what: the key of tokens or the key of tickets is missing, or is no key
-- why: without a token key nothing can be opened; pads that are the same bytes over and over are no secret
-- mend: freehold apply
select 'freehold.mac_key', 'no ' || w.name from (values ('key of tickets', true), ('key of tokens', false)) w (name, zero)
  where not exists (select from freehold.mac_key k where (k.kid = 0) = w.zero)
union all
select 'freehold.mac_key', 'key ' || k.kid || ' is no key' from freehold.mac_key k
  where (select count(distinct get_byte(k.ipad, i)) from generate_series(0, octet_length(k.ipad) - 1) i) < 8

-- FH-M05 key-without-end note managed: same
-- what: API keys that never expire
-- why: one that was lost stays good
-- mend: freehold key create --expires <days>, then: freehold key revoke <id>
select 'freehold.api_key', count(*) || ' keys' from freehold.api_key where expires_at is null and revoked_at is null having count(*) > 0

-- FH-M06 platform-version error managed: same
-- what: the platform in this database is of another version than this program
-- why: what is checked here is not what is there
-- mend: freehold apply brings an older one up to date; for a newer one use that version of Freehold
select 'freehold', 'platform version ' || coalesce(max(p.version)::text, 'none') || ', this program needs {version}'
  from freehold.platform_version p having max(p.version) is distinct from {version}

-- FH-M07 apply-unfinished warning managed: same
-- what: an apply that was interrupted
-- why: the tables are between two models
-- mend: freehold apply --resume
select 'freehold.apply_run', steps_done || ' of ' || steps_total || ' steps done, since ' || started_at from freehold.apply_run

-- FH-M08 ticket-could-seal note managed: no
-- what: the platform is in mode ticket although freehold_gate could be given the sealed parameter
-- why: mode ticket checks a MAC for each row of a scan; mode seal costs next to nothing
-- mend: freehold apply as a superuser keeps the mode it finds; set the platform up in mode seal on a new database
select 'freehold', 'mode ticket' from (select mode from freehold.platform_version order by version desc limit 1) m where m.mode = 'ticket'
