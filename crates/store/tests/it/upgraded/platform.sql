-- Everything PostgreSQL keeps about the platform, as sorted lines of text: but for bodies of functions, which are hashed, as it shows it.
with relation as (
  select c.*, c.oid::regclass::text as name from pg_class c where c.relnamespace = 'freehold'::regnamespace
), line (text) as (
  select format('function %s %s owner %s config %s may %s', p.oid::regprocedure, md5(pg_get_functiondef(p.oid)), p.proowner::regrole, p.proconfig,
      (select string_agg(format('%s %s', acl.privilege_type, acl.grantee::regrole), ',' order by acl.grantee)
         from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) acl))
    from pg_proc p where p.pronamespace = 'freehold'::regnamespace and p.prokind in ('f', 'p')
  union all
  select format('relation %s %s %s%s%s owner %s may %s', r.name, r.relkind, r.relpersistence, case when r.relrowsecurity then ' walled' end,
      case when r.relforcerowsecurity then ' forced' end, r.relowner::regrole,
      (select string_agg(format('%s %s', acl.privilege_type, acl.grantee::regrole), ',' order by acl.grantee, acl.privilege_type)
         from aclexplode(coalesce(r.relacl, acldefault('r', r.relowner))) acl))
    from relation r where r.relkind in ('r', 'p', 'v', 'S')
  union all
  select format('column %s.%I %s%s default %s%s%s', r.name, a.attname, format_type(a.atttypid, a.atttypmod),
      case when a.attnotnull then ' not null' end, pg_get_expr(d.adbin, d.adrelid), a.attgenerated, a.attidentity)
    from relation r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
    where r.relkind in ('r', 'p', 'v')
  union all
  select format('view %s %s', r.name, pg_get_viewdef(r.oid)) from relation r where r.relkind = 'v'
  union all
  select format('index %s', pg_get_indexdef(i.indexrelid)) from pg_index i join relation r on r.oid = i.indrelid
  union all
  select format('constraint %s.%I %s', r.name, k.conname, pg_get_constraintdef(k.oid))
    from relation r join pg_constraint k on k.conrelid = r.oid where k.contype <> 'n'
  union all
  select format('policy %s.%I %s %s using %s check %s', r.name, p.polname, p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid),
      pg_get_expr(p.polwithcheck, p.polrelid))
    from relation r join pg_policy p on p.polrelid = r.oid
  union all
  select format('trigger %s %s', r.name, pg_get_triggerdef(t.oid)) from relation r join pg_trigger t on t.tgrelid = r.oid where not t.tgisinternal
)
select text from line order by text collate "C"
