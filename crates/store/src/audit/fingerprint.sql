-- SHA-256 over everything the wall is made of, as sorted lines of text that say nothing of tenants: two databases with the
-- same platform, model and rights have the same. Partitions of tenants' own are left out, because their names are random, and
-- slices of time, because they come and go.
with home as (
  select oid, nspname from pg_namespace where nspname in ('app', 'freehold_shelf', 'freehold', 'freehold_ext')
), relation as (
  select c.*, format('%I.%I', h.nspname, c.relname) as name
    from pg_class c join home h on h.oid = c.relnamespace
    where not (c.relispartition and c.relkind in ('r', 'p') and coalesce(pg_get_expr(c.relpartbound, c.oid), '') ~ '^FOR VALUES (IN|FROM)')
      and not exists (select from pg_index x join pg_class t on t.oid = x.indrelid where x.indexrelid = c.oid
        and coalesce(pg_get_expr(t.relpartbound, t.oid), '') ~ '^FOR VALUES (IN|FROM)')
), role (oid, name) as (
  select oid, rolname::text from pg_roles union all select 0, 'public'
), line (text) as (
  select format('relation %s %s owner %s %s %s %s', r.relkind, r.name, r.relowner::regrole,
      case when r.relrowsecurity then 'walled' end, case when r.relforcerowsecurity then 'forced' end, r.reloptions)
    from relation r where r.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  union all
  select format('column %s.%I %s%s default %s%s statistics %s', r.name, a.attname, format_type(a.atttypid, a.atttypmod),
      case when a.attnotnull then ' not null' end, pg_get_expr(d.adbin, d.adrelid), a.attgenerated, coalesce(a.attstattarget, -1))
    from relation r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
      left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
    where r.relkind in ('r', 'p')
  union all
  select format('index %s unique %s valid %s', pg_get_indexdef(r.oid), i.indisunique, i.indisvalid)
    from relation r join pg_index i on i.indexrelid = r.oid
  union all
  select format('constraint %s %I %s valid %s', r.name, k.conname, pg_get_constraintdef(k.oid), k.convalidated)
    from relation r join pg_constraint k on k.conrelid = r.oid where k.contype <> 'n'
      and not exists (select from pg_class t where t.oid = k.confrelid and coalesce(pg_get_expr(t.relpartbound, t.oid), '') ~ '^FOR VALUES (IN|FROM)')
  union all
  select format('trigger %s %s enabled %s', r.name, pg_get_triggerdef(t.oid), t.tgenabled)
    from relation r join pg_trigger t on t.tgrelid = r.oid where not t.tgisinternal
  union all
  select format('policy %s %I %s %s to %s using %s check %s', r.name, p.polname, p.polcmd, p.polpermissive,
      (select string_agg(role.name, ',' order by role.name collate "C") from role where role.oid = any (p.polroles)),
      pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    from relation r join pg_policy p on p.polrelid = r.oid
  union all
  select format('rule %s %s', r.name, pg_get_ruledef(w.oid)) from relation r join pg_rewrite w on w.ev_class = r.oid
  union all
  select format('grant %s on %s to %s %s', x.privilege_type, r.name, role.name, x.is_grantable)
    from relation r, aclexplode(r.relacl) x join role on role.oid = x.grantee where x.grantee <> r.relowner
  union all
  select format('grant %s on %s.%I to %s %s', x.privilege_type, r.name, a.attname, role.name, x.is_grantable)
    from relation r join pg_attribute a on a.attrelid = r.oid and not a.attisdropped, aclexplode(a.attacl) x join role on role.oid = x.grantee
  union all
  select format('function %s owner %s %s %s %s %s', p.oid::regprocedure, p.proowner::regrole, p.prosecdef, p.proleakproof, p.provolatile,
      coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) || coalesce(p.proconfig::text, ''))
    from pg_proc p where p.pronamespace in (select oid from home where nspname <> 'freehold_ext')
  union all
  select format('grant execute on %s to %s', p.oid::regprocedure, role.name)
    from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x join role on role.oid = x.grantee
    where p.pronamespace in (select oid from home where nspname <> 'freehold_ext')
  union all
  -- What is left of the catalogue to everybody, as a whole: what PostgreSQL has differs by its version alone.
  select format('open %s', string_agg(o.name, ' ' order by o.name collate "C"))
    from (
      select p.oid::regprocedure::text as name from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
        where p.pronamespace = 'pg_catalog'::regnamespace and x.grantee = 0
      union all
      select c.oid::regclass::text from pg_class c, aclexplode(c.relacl) x where c.relnamespace = 'pg_catalog'::regnamespace and x.grantee = 0
    ) o
  union all
  select format('grant %s on schema %s to %s', x.privilege_type, n.nspname, role.name)
    from pg_namespace n, aclexplode(n.nspacl) x join role on role.oid = x.grantee
    where n.nspname in ('public', 'information_schema', 'pg_catalog') or n.oid in (select oid from home)
  union all
  select format('grant %s on language %s to %s', x.privilege_type, l.lanname, role.name)
    from pg_language l, aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) x join role on role.oid = x.grantee
  union all
  select format('grant %s on the database to %s', x.privilege_type, role.name)
    from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x join role on role.oid = x.grantee
    where d.datname = current_database()
  union all
  select format('default %s %s %s', d.defaclrole::regrole, d.defaclobjtype, d.defaclacl) from pg_default_acl d
  union all
  select format('role %s super %s inherit %s createrole %s createdb %s login %s replication %s bypassrls %s', r.rolname, r.rolsuper, r.rolinherit,
      r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication, r.rolbypassrls)
    from pg_roles r where r.rolname like 'freehold\_%'
  union all
  select format('member %s of %s', m.member::regrole, m.roleid::regrole) from pg_auth_members m
    where m.roleid::regrole::text like 'freehold\_%' and m.member::regrole::text like 'freehold\_%'
      or m.member::regrole::text in ('freehold_app', 'freehold_anonymous', 'freehold_control')
  union all
  select format('parameter %s for %s', a.parname, role.name)
    from pg_parameter_acl a, aclexplode(a.paracl) x join role on role.oid = x.grantee where role.name like 'freehold\_%' or x.grantee = 0
  union all
  select format('event trigger %s on %s %s runs %s enabled %s', e.evtname, e.evtevent, e.evttags, e.evtfoid::regprocedure, e.evtenabled)
    from pg_event_trigger e
  union all
  select format('extension %s %s', e.extname, e.extversion) from pg_extension e
)
select encode(sha256(convert_to(string_agg(text, E'\n' order by text collate "C"), 'UTF8')), 'hex') from line
