-- Groups
-- key: author, month
select author, date_trunc('month', at) as month, count(*) as commits from commit group by author, month
-- key: author
select author, count(*) as commits, sum(added) as added, avg(ratio) as ratio, min(at) as first, max(at) as last from commit group by author
-- key: author
select author, count(distinct status) as states, count(distinct path) as paths from commit join file on file.commit = commit.id group by author
-- key: region
select p.home as region, count(*) as commits, sum(f.lines) as lines, max(c.at) as last
from person p join commit c on c.author = p.id join file f on f.commit = c.id
where p.home is not null and c.status <> 'open' group by p.home
-- key: person
select p.id as person, p.handle, count(c.id) as commits, coalesce(sum(c.added), 0) as added
from person p left join commit c on c.author = p.id group by p.id
-- key: person
select p.id as person, r.name as region, count(c.id) filter (where c.signed) as signed
from person p left join region r on r.id = p.home left join commit c on c.author = p.id and c.status = 'merged'
group by p.id, r.name
-- key: reviewer
select reviewer, count(*) as reviews from commit where reviewer is not null group by reviewer having count(*) > 1
-- key: author, status
select author, status, array_agg(subject order by at desc) as subjects, string_agg(sha, ',') as shas from commit group by 1, 2
-- key: author
select author, jsonb_agg(jsonb_build_object('sha', sha, 'at', at) order by at) as list, jsonb_object_agg(sha, added) as by_sha from commit group by author
-- key: author
select author, avg(meaning) as centre, count(meaning) as embedded from commit group by author
-- key: author
select author, percentile_cont(0.5) within group (order by added) as median, percentile_disc(0.9) within group (order by at) as late from commit group by author
-- key: author
select author, bool_and(signed) as all_signed, bool_or(signed) as some_signed, stddev(added) as spread, variance(ratio) as wide from commit group by author
-- key: year
select extract(year from at)::integer as year, count(*) as n, sum(size) as size, sum(weight) as weight from commit group by extract(year from at)::integer
-- key: day
select coalesce(day, at::date) as day, count(*) as n from commit group by coalesce(day, at::date)
-- key: author, hour
select author, date_trunc('hour', at, 'Europe/Berlin') as hour, sum(added) as added from commit group by author, date_trunc('hour', at, 'Europe/Berlin')
-- key: person
select p.id as person, count(distinct date_trunc('day', c.at)) as days from person as p inner join commit as c on p.id = c.author group by p.id
-- key: size
select size, count(*) as people from region join person on home = region.id group by size
-- key: path
select path, count(distinct author) as authors, array_agg(distinct author) as who from file, commit where file.commit = commit.id group by path
-- key: author
select distinct author from commit
-- Rows
-- key: commit
select c.id as commit, c.subject, p.handle as author, r.name as region
from commit c join person p on p.id = c.author left join region r on r.id = p.home
-- key: id
select id, upper(sha) as sha, length(subject) as letters, left(subject, 3) || '…' as short, cardinality(files) as files from commit
-- key: sha
select sha, added * 2 + 1 as n, added / 2.0 as half, size % 7 as rest, -added as minus, abs(ratio) as ratio, round(weight, 1) as weight, ceil(ratio) as up from commit
-- key: id
select id, case when added > 100 then 'large' when added > 10 then 'middle' else 'small' end as class, nullif(body, '') as body, greatest(added, 5) as least from commit
-- key: id
select id, meta ->> 'a' as a, meta -> 'b' as b, (meta ->> 'n')::integer as n, meta @> '{"a": 1}' as has, meta ? 'a' as asked from commit
-- key: id
select id, files[1] as first_file, 'a' = any(files) as has_a, array_length(files, 1) as n, array_to_string(files, ', ') as list from commit
-- key: id
select id, at at time zone 'Europe/Berlin' as local, at::date as day from commit
-- key: id
select id, (at at time zone 'Europe/Berlin')::date as local, at + interval '2 days' as later, at::date - 7 as before, extract(epoch from at - '2020-01-01') as since from commit
-- key: id
select id, meaning, meaning <=> '[1,0,0]' as far, signed and not added > 3 as both, subject like 'a%' or subject ~ 'x' as match, added between 2 and 5 as mid, status in ('open') as open from commit
-- key: commit, file
select c.id as commit, f.id as file, f.path from commit c, file f where f.commit = c.id
-- key: commit, path
select f.commit, f.path from file f group by f.commit, f.path
-- key: node
select n.id as node, n.label, p.label as parent, g.label as grand from node n left join node p on p.id = n.parent left join node g on g.id = p.parent
-- key: node
select n.id as node, count(k.id) as kids from node n left join node k on k.parent = n.id group by n.id
-- key: id
select id, author, raw, weight from commit where status = 'merged' and at >= '2020-01-01' and signed
-- key: odd
select "Odd name".id as odd, "we ird" as weird, p.handle from "Odd name" join person p on p.id = person
-- key: commit
select c.id as commit, p.handle from person p right join commit c on c.reviewer = p.id
-- key: commit
select c.id as commit, count(path) as paths from commit c join (file f join region r on r.name = f.path) on f.commit = c.id group by c.id
-- key: id
select id, handle, "we ird" as weird from person left join "Odd name" using (id)
-- key: commit
select c.id as commit, p.handle, count(f.id) as files from file f right join commit c on f.commit = c.id left join person p on p.id = c.reviewer
group by c.id, p.handle
-- key: odd
select o.id as odd, count(*) as commits, max(c.at) as last from commit c join "Odd name" o on o.person = c.author group by o.id
-- key: person
select p.id as person, count(distinct f.path) filter (where f.lines > 9) as paths, max(r.name) as region
from person p left join (commit c left join file f on f.commit = c.id) on c.author = p.id left join region r on r.id = p.home group by p.id
-- Subqueries
-- key: person
select id as person, handle from person p where exists (select 1 from commit c where c.author = p.id and c.signed)
-- key: person
select id as person, handle from person p where not exists (select * from commit c where c.author = p.id)
-- key: person
select p.id as person, (select count(*) from commit c where c.author = p.id) as commits, (select max(c.at) from commit c where c.author = p.id) as last from person p
-- key: commit
select c.id as commit, (select handle from person p where p.id = c.author) as author, (select r.name from person p join region r on r.id = p.home where p.id = c.author) as region from commit c
-- key: commit
select c.id as commit, array(select f.path from file f where f.commit = c.id order by f.lines desc limit 3) as biggest from commit c
-- key: person
select p.id as person, (select c.sha from commit c where c.author = p.id order by c.at desc limit 1) as latest from person p
-- key: person
select id as person from person where id in (select author from commit where signed)
-- key: person
select p.id as person, s.commits, s.added from person p join (select author, count(*) as commits, sum(added) as added from commit group by author) s on s.author = p.id
-- key: person
with s as (select author, count(*) as commits from commit group by author), r as (select reviewer, count(*) as reviews from commit group by reviewer)
select p.id as person, coalesce(s.commits, 0) as commits, coalesce(r.reviews, 0) as reviews from person p left join s on s.author = p.id left join r on r.reviewer = p.id
-- key: author
select author, count(*) as big from (select c.author, c.id, sum(f.lines) as lines from commit c join file f on f.commit = c.id group by c.author, c.id) as t where lines > 20 group by author
-- key: author
select c.author, sum((select count(*) from file f where f.commit = c.id)) as files from commit c group by c.author
-- key: person
select p.id as person, x.n, x.last from person p cross join lateral (select count(*) as n, max(at) as last from commit c where c.author = p.id) x
-- key: person
select id as person from person p where not exists (select 1 from commit c join file f on f.commit = c.id where c.author = p.id and f.lines > 9)
-- key: person
select p.id as person, (select count(*) from person q where q.home = r.id) as neighbours from person p left join region r on r.id = p.home
-- key: region
select r.id as region, x.commits, x.paths from region r left join lateral
  (select count(distinct c.id) as commits, string_agg(distinct f.path, '+') as paths from person p join commit c on c.author = p.id left join file f on f.commit = c.id where p.home = r.id) x on true
-- key: author
select author, count(*) as n from commit c group by author having count(*) > (select count(*) from "Odd name" o where o.person = author)
-- key: person
with month as (select author, date_trunc('month', at) as month, count(*) as n from commit group by 1, 2), best as (select author, month, row_number() over (partition by author order by n desc, month) as place from month)
select p.id as person, b.month from person p join best b on b.author = p.id and b.place = 1
-- The first of each group
-- key: person, place
select p.id as person, t.place, t.sha, t.at from person p cross join lateral
  (select c.sha, c.at, row_number() over (order by c.at desc) as place from commit c where c.author = p.id order by c.at desc limit 3) t
-- key: person, commit
select p.id as person, t.id as commit, t.sha from person p join lateral (select c.id, c.sha from commit c where c.author = p.id order by c.added desc, c.at limit 2) t on true
-- key: author
select distinct on (author) author, sha, at from commit order by author, at desc
-- key: author, place
select author, place, sha from (select author, sha, row_number() over (partition by author order by added desc) as place from commit) t where place <= 2
-- key: author, commit
select author, id as commit, rank() over (partition by author order by added desc) as place, sum(added) over (partition by author) as total, lag(sha) over (partition by author order by at) as before from commit
-- key: author, month
select author, date_trunc('month', at) as month, count(*) as n, sum(count(*)) over (partition by author order by date_trunc('month', at)) as so_far from commit group by author, date_trunc('month', at)
-- Keys of two entities
-- key: region, status
select p.home as region, c.status, count(*) as n from person p join commit c on c.author = p.id where p.home is not null group by p.home, c.status
-- key: region, month
select r.name as region, date_trunc('month', c.at) as month, sum(c.added) as added, count(distinct p.id) as people
from region r join person p on p.home = r.id join commit c on c.author = p.id group by 1, 2
-- key: author, reviewed
select c.author, coalesce(p.handle, 'nobody') as reviewed, count(*) as n from commit c left join person p on p.id = c.reviewer group by c.author, coalesce(p.handle, 'nobody')
-- Vectors and words
-- key: author, month
select author, date_trunc('month', at) as month, avg(meaning) as centre, count(meaning) as embedded from commit where meaning is not null group by 1, 2
-- key: region
select r.id as region, avg(c.meaning) filter (where c.signed) as centre, count(distinct c.author) as authors
from region r left join person p on p.home = r.id left join commit c on c.author = p.id group by r.id
-- key: person
select p.id as person, (select avg(c.meaning) from commit c where c.author = p.id) as centre from person p
-- key: author
-- with: search = { subjects = "english" }
select author, string_agg(subject, ' ' order by at, sha) as subjects from commit group by author
-- key: commit
-- with: search = { subject = "english", words = "german" }
-- with: index = ["author"]
select c.id as commit, p.handle as author, c.subject, coalesce(c.body, '') || ' ' || coalesce(string_agg(f.path, ' '), '') as words, c.meaning
from commit c join person p on p.id = c.author left join file f on f.commit = c.id group by c.id, p.handle
-- Refused: what cannot be kept up to date
-- key: id
select id, at from commit order by at desc limit 10
-- key: n
select count(*) as n from commit
-- key: author
select author, status, count(*) as n from commit group by author, status
-- key: author
select author, sha from commit
-- key: id
with recursive t as (select id from node) select id from t
-- key: id
select id from commit union select id from person
-- key: id
select id, now() - at as old from commit
-- key: id
select id, current_date as today from commit
-- key: id
select id, random() as dice from commit
-- key: id
select id, unnest(files) as file from commit
-- key: path
select f as path, count(*) as n from commit, unnest(files) as f group by f
-- key: id
select coalesce(p.id, c.author) as id, c.sha from person p full join commit c on c.author = p.id
-- key: commit, person
select c.id as commit, p.id as person from commit c cross join person p
-- key: commit, person
select c.id as commit, p.id as person from commit c cross join person p left join file f on f.commit = c.id and f.id = p.id
-- key: commit
select c.id as commit, count(d.id) as later from commit c left join commit d on d.at > c.at group by c.id
-- key: commit
select c.id as commit, (select max(at) from commit) as last from commit c
-- key: commit
select id as commit, rank() over (order by added desc) as place from commit
-- key: author
select author, any_value(sha) as sha from commit group by author
-- key: id
select id, handle from person where id not in (select author from commit)
-- key: id
select id, id in (select author from commit) as writes from person
-- key: id
select c.id, p.handle as reviewer from commit c join person p on p.id = c.author or p.id = c.reviewer
-- key: id
select id, (select sha from commit c where c.author = p.id) as sha from person p
-- key: id
select id from person natural join region
-- key: id
select * from commit
-- key: id
insert into commit (sha) values ('a')
-- key: id
delete from commit
-- key: id
select id from commit; select id from person
-- key: id
select id from commit where sha = $1
-- key: id
select id from commit order by at
-- key: size
select size, grouping(size) as g from region group by rollup (size)
-- Refused: the key
-- key: reviewer
select reviewer, count(*) as n from commit group by reviewer
-- key: region
select r.id as region, count(*) as n from person p left join region r on r.id = p.home group by r.id
-- key: autor
select author, count(*) as n from commit group by author
-- key: author, author
select author, count(*) as n from commit group by author
-- key: meta
select meta, count(*) as n from commit group by meta
-- key: centre
select avg(meaning) as centre from commit group by author
-- key: last
select max(at) as last from commit group by author
-- Refused: names
-- key: id
select id, subjet from commit
-- key: id
select id from comit
-- key: id
select c.id from commit c join person p on p.id = c.author where handle = c.handel
-- key: id
select id from commit join file on file.commit = commit.id
-- key: id
select id, sha, subject as sha from commit
-- key: id
select id from commit where tenant_id is not null
-- key: id
select id from other
-- key: id
select id, lower(subject) from commit
-- key: id
select id from public.commit
-- key: id
select id, "weird" from "Odd name"
-- key: id
select p.id, c.sha from person p join (select sha from commit where author = p.id) c on true
-- key: id
select id from commit, commit
-- Refused: types and functions
-- key: id
select id, added + subject as sum from commit
-- key: id
select id, lenght(subject) as n from commit
-- key: id
select id, lower(added) as n from commit
-- key: id
select id from commit where status = 'mergd'
-- key: id
select id from commit where at > 'yesterday'
-- key: id
select id, at - at as nothing from commit
-- key: id
select id, sum(added) as n from commit
-- key: id
select id from commit where count(*) > 3
-- key: id
select id, to_tsvector('english', subject) as words from commit
-- key: id
select id, meaning = '[1,2,3]' as same from commit
-- key: id
select id, subject::money as m from commit
-- key: author
select author, min(reviewer) as r from commit group by author
-- key: id
select id, json_build_object('a', 1) as j from commit
-- Refused: no SQL
-- key: id
select id frm commit where
-- key: id
select id from commit where (
-- key: id
selct id
-- key: id
select id, 'open from commit
