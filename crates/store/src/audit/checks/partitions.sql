-- FH-P01 no-default-partition error managed: same
-- what: a root without a default partition
-- why: a tenant without a partition of its own cannot write, and the error tells which tenants have one
-- mend: create table freehold_shelf."<entity>~d" partition of <table> default partition by hash (tenant_id), with its shelves; freehold apply on a restored backup
select t.name, 'no default partition' from piece t join pg_partitioned_table p on p.partrelid = t.oid
  where not t.relispartition and p.partstrat in ('l', 'r') and p.partdefid = 0

-- FH-P02 tenant-in-name warning managed: same
-- what: a partition whose name shares text with the id or the name of a tenant
-- why: names of partitions show in plans and errors, and say who the other tenants are
-- mend: alter table <partition> rename to something that says nothing
select c.name, 'tells of tenant ' || n.id
  -- Pieces of names are looked up, and not every name in every other: there may be thousands of partitions and a hundred
  -- thousand tenants.
  from (
    select p.name, 'begin' as kind, substr(p.flat, i, 8) as text from part p, generate_series(1, length(p.flat) - 7) i
    union select p.name, 'end', substr(p.flat, i, 12) from part p, generate_series(1, length(p.flat) - 11) i
    union select p.name, 'name', p.last from part p
    union select p.name, 'name', substr(p.rest, i, n)
      from part p, generate_series(1, length(p.rest) - 3) i, generate_series(4, length(p.rest) - i + 1) n) c
  join (
    select id, 'begin' as kind, left(replace(id::text, '-', ''), 8) as text from freehold.tenant
    union all select id, 'end', right(id::text, 12) from freehold.tenant
    union all select id, 'name', lower(name) from freehold.tenant) n on n.text = c.text and n.kind = c.kind
  group by c.name, n.id

-- FH-P03 many-in-one warning managed: same
-- what: a partition made for several named tenants
-- why: it looks like one tenant's own, and its graph and its size are several's
-- mend: one partition for each
select t.name, pg_get_expr(t.relpartbound, t.oid) from piece t
  where t.relispartition and pg_get_expr(t.relpartbound, t.oid) ~ '^FOR VALUES IN \(.*,.*\)$'

-- FH-P04 partition-elsewhere error managed: same
-- what: a part of a table of tenants' rows that stands outside of freehold_shelf
-- why: rights on other schemas are not looked after
-- mend: alter table <partition> set schema freehold_shelf
select t.name, 'in schema ' || t.relnamespace::regnamespace from piece t
  where t.relnamespace not in (select oid from home) or t.relispartition and t.relnamespace <> (select oid from home where name = 'freehold_shelf')

-- FH-P05 large-objects warning managed: residual every login may make large objects, which belong to no tenant
-- what: large objects in this database
-- why: they have no row-level security: all tenants of a login share them
-- mend: select lo_unlink(oid) from pg_largeobject_metadata
select 'large objects', count(*)::text from pg_largeobject_metadata having count(*) > 0
