-- Everything PostgreSQL keeps about the tables of a model, as sorted lines of text. The order of columns does not show, and
-- neither do the names of `not null` constraints, which PostgreSQL chooses and never reports.
with home as (
  select oid, nspname from pg_namespace where nspname in ('app', 'freehold_shelf')
), relation as (
  select c.*, format('%I.%I', h.nspname, c.relname) as name, p.inhparent::regclass::text as parent
    from pg_class c join home h on h.oid = c.relnamespace left join pg_inherits p on p.inhrelid = c.oid
), line (text) as (
  select format('%s %s of %s %s %s%s%s owner %s %s %s', case when relkind in ('i', 'I') then 'index' else 'relation ' || relkind::text end,
      name, coalesce(parent, 'nothing'), pg_get_expr(relpartbound, oid), pg_get_partkeydef(oid),
      case when relrowsecurity then ' walled' end, case when relforcerowsecurity then ' forced' end,
      pg_get_userbyid(relowner), relpersistence, reloptions)
    from relation
  union all
  select format('column %s.%I %s%s default %s%s%s storage %s compression %s collation %s statistics %s local %s inherited %s',
      r.name, a.attname, format_type(a.atttypid, a.atttypmod), case when a.attnotnull then ' not null' end,
      pg_get_expr(d.adbin, d.adrelid), a.attgenerated, a.attidentity, a.attstorage, a.attcompression,
      a.attcollation::regcollation, coalesce(a.attstattarget, -1), a.attislocal, a.attinhcount)
    from relation r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
    where r.relkind in ('r', 'p')
  union all
  select format('definition %s %s valid %s ready %s primary %s', r.name, pg_get_indexdef(r.oid), i.indisvalid, i.indisready, i.indisprimary)
    from relation r join pg_index i on i.indexrelid = r.oid
  union all
  select format('constraint %s.%s %s %s valid %s part of %s local %s inherited %s', r.name,
      case when k.contype = 'n' then '?' else quote_ident(k.conname) end, k.contype, pg_get_constraintdef(k.oid),
      k.convalidated, up.conname, k.conislocal, k.coninhcount)
    from relation r join pg_constraint k on k.conrelid = r.oid left join pg_constraint up on up.oid = k.conparentid
  union all
  select format('trigger %s %s enabled %s part %s', r.name, pg_get_triggerdef(t.oid), t.tgenabled, t.tgparentid <> 0)
    from relation r join pg_trigger t on t.tgrelid = r.oid where not t.tgisinternal
  union all
  select format('guards %s.%s by %s enabled %s', r.name, quote_ident(k.conname), t.tgfoid::regproc, t.tgenabled)
    from relation r join pg_trigger t on t.tgrelid = r.oid join pg_constraint k on k.oid = t.tgconstraint where t.tgisinternal
  union all
  select format('policy %s.%I %s %s to %s using %s check %s', r.name, p.polname, p.polcmd,
      case when p.polpermissive then 'permissive' else 'restrictive' end,
      (select string_agg(case when role = 0 then 'public' else pg_get_userbyid(role) end, ',' order by role) from unnest(p.polroles) role),
      pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    from relation r join pg_policy p on p.polrelid = r.oid
  union all
  select format('grant %s %s to %s%s', acl.privilege_type, r.name, acl.grantee::regrole, case when acl.is_grantable then ' grantable' end)
    from relation r, aclexplode(coalesce(r.relacl, acldefault('r', r.relowner))) acl where r.relkind in ('r', 'p')
  union all
  select format('grant %s %s.%I to %s%s', acl.privilege_type, r.name, a.attname, acl.grantee::regrole, case when acl.is_grantable then ' grantable' end)
    from relation r join pg_attribute a on a.attrelid = r.oid and not a.attisdropped, aclexplode(a.attacl) acl
  union all
  select format('function %s owner %s may %s', replace(pg_get_functiondef(f.oid), E'\n', ' '), pg_get_userbyid(f.proowner),
      (select string_agg(format('%s %s', acl.privilege_type, acl.grantee::regrole), ',' order by acl.grantee)
         from aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) acl))
    from pg_proc f join home h on h.oid = f.pronamespace
  union all
  select format('type %I.%I', h.nspname, t.typname)
    from pg_type t join home h on h.oid = t.typnamespace where t.typrelid = 0 and t.typelem = 0
)
select text from line order by text collate "C"
