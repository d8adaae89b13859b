-- What the operator put into the schema app beside the model: views and functions, as freehold_model::Catalogue reads
-- them. What is not walled comes with its fault, and is not served.
set local role freehold_gate;

create or replace function freehold.exposed() returns text
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
with recursive
  view as (
    select c.oid, c.relname, coalesce((select o.option_value::boolean from pg_options_to_table(c.reloptions) o where o.option_name = 'security_invoker'), false) as invoker
    from pg_class c where c.relnamespace = 'app'::regnamespace and c.relkind = 'v'),
  mentions (holder, relation) as (
    select r.ev_class, d.refobjid from pg_rewrite r join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
    where d.refclassid = 'pg_class'::regclass and d.refobjid <> r.ev_class and r.ev_class >= 16384),
  reads (view, relation) as (
    select m.holder, m.relation from mentions m join view v on v.oid = m.holder
    union select r.view, m.relation from reads r join mentions m on m.holder = r.relation),
  unwalled (view, what) as (
    select r.view, string_agg(distinct c.oid::regclass::text, ', ')
    from reads r join pg_class c on c.oid = r.relation
    where not (c.relnamespace = 'app'::regnamespace and (c.oid in (select v.oid from view v where v.invoker)
      or c.relkind in ('r', 'p') and c.relrowsecurity and c.relforcerowsecurity
        and exists (select from pg_policy p where p.polrelid = c.oid and not p.polpermissive and p.polcmd = '*' and p.polroles = '{0}'
          and pg_get_expr(p.polqual, p.polrelid) = '(tenant_id = freehold.tenant())')))
    group by r.view),
  -- PostgreSQL notes of each column of a view which column of which relation it is, if it is one. Subqueries have such
  -- notes, too: one that could be taken for the view's own makes the column nobody's.
  origin (view, number, relation, attribute) as (
    select v.oid, m[1]::smallint, min(m[3]::oid), min(m[4]::smallint)
    from view v join pg_rewrite r on r.ev_class = v.oid,
      regexp_matches(r.ev_action::text, ':resno (\d+) :resname (\S+) :ressortgroupref \d+ :resorigtbl (\d+) :resorigcol (\d+) :resjunk false', 'g') m
      join pg_attribute a on a.attnum = m[1]::smallint
    where a.attrelid = v.oid and a.attname = replace(m[2], '\', '')
    group by v.oid, m[1] having count(distinct m[3] || '.' || m[4]) = 1),
  columns (holder, list) as (
    select a.attrelid, jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
        'about', col_description(a.attrelid, a.attnum),
        'origin', case when f.oid is not null then jsonb_build_object('table', f.relname, 'column', fa.attname) end) order by a.attnum)
    from pg_attribute a left join origin o on o.view = a.attrelid and o.number = a.attnum
      left join pg_class f on f.oid = o.relation and f.relnamespace = 'app'::regnamespace
      left join pg_attribute fa on fa.attrelid = f.oid and fa.attnum = o.attribute
    where a.attnum > 0 and not a.attisdropped
      and (a.attrelid in (select v.oid from view v) and has_column_privilege('freehold_app', a.attrelid, a.attnum, 'select')
        or a.attrelid in (select t.typrelid from pg_type t join pg_class k on k.oid = t.typrelid where k.relkind = 'c' and k.relnamespace = 'app'::regnamespace))
    group by a.attrelid),
  function as (
    select p.oid, p.proname, p.prorettype, p.proretset, p.provolatile, p.pronargs, p.pronargdefaults, p.provariadic,
      case when p.prosecdef then 'it is SECURITY DEFINER: it runs with its owner''s rights, whoever calls it'
        when l.lanname not in ('sql', 'plpgsql') then 'it is written in ' || l.lanname
        when has_function_privilege('public', p.oid, 'execute') then 'PUBLIC may execute it: revoke that, and grant it to freehold_app'
        when not has_function_privilege('freehold_app', p.oid, 'execute') then 'freehold_app may not execute it'
      end as fault
    from pg_proc p join pg_language l on l.oid = p.prolang
    where p.pronamespace = 'app'::regnamespace and p.prokind = 'f' and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)),
  argument (function, number, name, type, mode) as (
    select p.oid, a.number, coalesce(p.proargnames[a.number], ''), a.type, coalesce(p.proargmodes[a.number], 'i')
    from function f join pg_proc p on p.oid = f.oid,
      unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality a (type, number)),
  taken as (
    select a.function, jsonb_agg(jsonb_build_object('name', a.name, 'type', format_type(a.type, null), 'variadic', a.mode = 'v',
        'optional', a.place > f.pronargs - f.pronargdefaults) order by a.number) as list,
      string_agg(format_type(a.type, null), ', ' order by a.number) as signature
    from (select *, row_number() over (partition by function order by number) as place from argument where mode in ('i', 'b', 'v')) a
      join function f on f.oid = a.function
    group by a.function),
  given as (
    select a.function, jsonb_agg(jsonb_build_object('name', a.name, 'type', format_type(a.type, null)) order by a.number) as list
    from argument a where a.mode in ('o', 'b', 't') group by a.function)
select jsonb_build_object(
  'views', (
    select coalesce(jsonb_agg(jsonb_build_object('name', v.relname, 'about', obj_description(v.oid, 'pg_class'), 'columns', coalesce(c.list, '[]'),
      'fault', case when not v.invoker then 'it is not security_invoker: it reads with its owner''s rights'
        when u.what is not null then 'it reads what is not an entity behind the wall: ' || u.what
        when c.list is null then 'freehold_app may not read it' end,
      'anonymous', has_any_column_privilege('freehold_anonymous', v.oid, 'select')) order by v.relname), '[]')
    from view v left join unwalled u on u.view = v.oid left join columns c on c.holder = v.oid),
  'functions', (
    select coalesce(jsonb_agg(jsonb_build_object('name', f.proname, 'about', obj_description(f.oid, 'pg_proc'), 'fault', f.fault,
      'volatile', f.provolatile = 'v', 'anonymous', has_function_privilege('freehold_anonymous', f.oid, 'execute'), 'arguments', coalesce(t.list, '[]'), 'signature', coalesce(t.signature, ''),
      'returns', jsonb_build_object('type', format_type(f.prorettype, null), 'many', f.proretset,
        'relation', (select r.relname from pg_type y join pg_class r on r.oid = y.typrelid
          where y.oid = f.prorettype and r.relkind in ('r', 'p', 'v') and r.relnamespace = 'app'::regnamespace),
        'columns', coalesce(g.list, (select c.list from pg_type y join columns c on c.holder = y.typrelid where y.oid = f.prorettype))))
      order by f.proname, f.oid), '[]')
    from function f left join taken t on t.function = f.oid left join given g on g.function = f.oid))::text
$$;

revoke all on function freehold.exposed() from public, freehold_app;
grant execute on function freehold.exposed() to freehold_control;
reset role;
