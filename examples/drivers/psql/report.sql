-- psql "$(freehold login)" -v tenant=acme -f report.sql
\set ON_ERROR_STOP on

\ir open.sql
select a.handle, count(*) as tickets
from ticket t join agent a on a.id = t.agent
group by a.handle order by a.handle;

-- The tickets most like the first one.
select number, title
from ticket
where number <> 1
order by embedding <=> (select embedding from ticket where number = 1)
limit 2;
commit;

-- A savepoint, and everything given up in the end.
\ir open.sql
insert into agent (handle, team) values ('eve', 'second');
savepoint before;
update ticket set agent = (select id from agent where handle = 'eve');
rollback to before;
select count(*) as of_eve from ticket where agent = (select id from agent where handle = 'eve');
rollback;
