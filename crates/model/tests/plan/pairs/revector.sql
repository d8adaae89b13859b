-- 1. change field t.free (additive)
begin;
drop trigger "t~free~outdated" on app."t";
drop function freehold_shelf."t~free~outdated"();
drop trigger "t~free~due" on app."t";
alter table app."t" add constraint "t~free~required" check ("free" is not null) not valid;
commit;

-- 2. check field t.free (additive)
-- fails if a value is missing
begin;
alter table app."t" validate constraint "t~free~required";
commit;

-- 3. require field t.free (additive)
begin;
alter table app."t" alter column "free" set not null;
alter table app."t" drop constraint "t~free~required";
commit;

-- 4. make room for new vectors of t.bigger (additive)
begin;
alter table app."t" add column "bigger~next" freehold_ext.vector(80);
alter table app."t" alter column "bigger~next" set storage main;
alter table app."t" alter column "bigger~next" set statistics 0;
grant select ("bigger~next"), insert ("bigger~next"), update ("bigger~next") on app."t" to freehold_app;
create function freehold_shelf."t~bigger~next~outdated"() returns trigger language plpgsql as 'begin new."bigger~next" := null; return new; end';
create trigger "t~bigger~next~outdated" before update of "title" on app."t" for each row
  when (row(old."title") is distinct from row(new."title") and old."bigger~next" operator(freehold_ext.=) new."bigger~next")
  execute function freehold_shelf."t~bigger~next~outdated"();
commit;

-- 5. make room for new vectors of t.more (additive)
begin;
alter table app."t" add column "more~next" freehold_ext.vector(40);
alter table app."t" alter column "more~next" set storage main;
alter table app."t" alter column "more~next" set statistics 0;
grant select ("more~next"), insert ("more~next"), update ("more~next") on app."t" to freehold_app;
create function freehold_shelf."t~more~next~outdated"() returns trigger language plpgsql as 'begin new."more~next" := null; return new; end';
create trigger "t~more~next~outdated" before update of "title", "body" on app."t" for each row
  when (row(old."title", old."body") is distinct from row(new."title", new."body") and old."more~next" operator(freehold_ext.=) new."more~next")
  execute function freehold_shelf."t~more~next~outdated"();
commit;

-- 6. make room for new vectors of t.house (additive)
begin;
alter table app."t" add column "house~next" freehold_ext.vector(40);
alter table app."t" alter column "house~next" set storage main;
alter table app."t" alter column "house~next" set statistics 0;
grant select ("house~next"), insert ("house~next"), update ("house~next") on app."t" to freehold_app;
create function freehold_shelf."t~house~next~outdated"() returns trigger language plpgsql as 'begin new."house~next" := null; return new; end';
create trigger "t~house~next~outdated" before update of "title" on app."t" for each row
  when (row(old."title") is distinct from row(new."title") and old."house~next" operator(freehold_ext.=) new."house~next")
  execute function freehold_shelf."t~house~next~outdated"();
commit;

-- 7. make room for new vectors of t.half (additive)
begin;
alter table app."t" add column "half~next" freehold_ext.halfvec(40);
alter table app."t" alter column "half~next" set storage main;
alter table app."t" alter column "half~next" set statistics 0;
grant select ("half~next"), insert ("half~next"), update ("half~next") on app."t" to freehold_app;
create function freehold_shelf."t~half~next~outdated"() returns trigger language plpgsql as 'begin new."half~next" := null; return new; end';
create trigger "t~half~next~outdated" before update of "title", "body" on app."t" for each row
  when (row(old."title", old."body") is distinct from row(new."title", new."body") and old."half~next" operator(freehold_ext.=) new."half~next")
  execute function freehold_shelf."t~half~next~outdated"();
commit;

-- 8. make room for new vectors of t.brought (additive)
begin;
alter table app."t" add column "brought~next" freehold_ext.vector(40);
alter table app."t" alter column "brought~next" set storage main;
alter table app."t" alter column "brought~next" set statistics 0;
grant select ("brought~next"), insert ("brought~next"), update ("brought~next") on app."t" to freehold_app;
create function freehold_shelf."t~brought~next~outdated"() returns trigger language plpgsql as 'begin new."brought~next" := null; return new; end';
create trigger "t~brought~next~outdated" before update of "body" on app."t" for each row
  when (row(old."body") is distinct from row(new."body") and old."brought~next" operator(freehold_ext.=) new."brought~next")
  execute function freehold_shelf."t~brought~next~outdated"();
commit;

-- 9. fill field t.bigger (additive)
-- Freehold embeds the rows of t in which "bigger~next" is null

-- 10. fill field t.more (additive)
-- Freehold embeds the rows of t in which "more~next" is null

-- 11. fill field t.house (additive)
-- Freehold embeds the rows of t in which "house~next" is null

-- 12. fill field t.half (additive)
-- Freehold embeds the rows of t in which "half~next" is null

-- 13. fill field t.brought (additive)
-- Freehold embeds the rows of t in which "brought~next" is null

-- 14. put the new vectors of t.bigger in place (additive)
begin;
drop trigger "t~bigger~next~outdated" on app."t";
drop function freehold_shelf."t~bigger~next~outdated"();
drop trigger "t~bigger~outdated" on app."t";
drop function freehold_shelf."t~bigger~outdated"();
drop trigger "t~bigger~due" on app."t";
alter table app."t" drop column "bigger";
alter table app."t" rename column "bigger~next" to "bigger";
create function freehold_shelf."t~bigger~outdated"() returns trigger language plpgsql as 'begin new."bigger" := null; return new; end';
create trigger "t~bigger~outdated" before update of "title" on app."t" for each row
  when (row(old."title") is distinct from row(new."title") and old."bigger" operator(freehold_ext.=) new."bigger")
  execute function freehold_shelf."t~bigger~outdated"();
create trigger "t~bigger~due" after insert or update of "title", "bigger" on app."t" for each row
  when (new."bigger" is null) execute function freehold.embedding_due('t', 'bigger');
commit;

-- 15. put the new vectors of t.more in place (additive)
begin;
drop trigger "t~more~next~outdated" on app."t";
drop function freehold_shelf."t~more~next~outdated"();
drop trigger "t~more~outdated" on app."t";
drop function freehold_shelf."t~more~outdated"();
drop trigger "t~more~due" on app."t";
alter table app."t" drop column "more";
alter table app."t" rename column "more~next" to "more";
create function freehold_shelf."t~more~outdated"() returns trigger language plpgsql as 'begin new."more" := null; return new; end';
create trigger "t~more~outdated" before update of "title", "body" on app."t" for each row
  when (row(old."title", old."body") is distinct from row(new."title", new."body") and old."more" operator(freehold_ext.=) new."more")
  execute function freehold_shelf."t~more~outdated"();
create trigger "t~more~due" after insert or update of "title", "body", "more" on app."t" for each row
  when (new."more" is null) execute function freehold.embedding_due('t', 'more');
commit;

-- 16. put the new vectors of t.house in place (additive)
begin;
drop trigger "t~house~next~outdated" on app."t";
drop function freehold_shelf."t~house~next~outdated"();
drop trigger "t~house~outdated" on app."t";
drop function freehold_shelf."t~house~outdated"();
drop trigger "t~house~due" on app."t";
alter table app."t" drop column "house";
alter table app."t" rename column "house~next" to "house";
create function freehold_shelf."t~house~outdated"() returns trigger language plpgsql as 'begin new."house" := null; return new; end';
create trigger "t~house~outdated" before update of "title" on app."t" for each row
  when (row(old."title") is distinct from row(new."title") and old."house" operator(freehold_ext.=) new."house")
  execute function freehold_shelf."t~house~outdated"();
create trigger "t~house~due" after insert or update of "title", "house" on app."t" for each row
  when (new."house" is null) execute function freehold.embedding_due('t', 'house');
commit;

-- 17. put the new vectors of t.half in place (additive)
begin;
drop trigger "t~half~next~outdated" on app."t";
drop function freehold_shelf."t~half~next~outdated"();
drop trigger "t~half~outdated" on app."t";
drop function freehold_shelf."t~half~outdated"();
drop trigger "t~half~due" on app."t";
alter table app."t" drop column "half";
alter table app."t" rename column "half~next" to "half";
create function freehold_shelf."t~half~outdated"() returns trigger language plpgsql as 'begin new."half" := null; return new; end';
create trigger "t~half~outdated" before update of "title", "body" on app."t" for each row
  when (row(old."title", old."body") is distinct from row(new."title", new."body") and old."half" operator(freehold_ext.=) new."half")
  execute function freehold_shelf."t~half~outdated"();
create trigger "t~half~due" after insert or update of "title", "body", "half" on app."t" for each row
  when (new."half" is null) execute function freehold.embedding_due('t', 'half');
commit;

-- 18. put the new vectors of t.brought in place (destructive: drop:t.brought)
begin;
drop trigger "t~brought~next~outdated" on app."t";
drop function freehold_shelf."t~brought~next~outdated"();
alter table app."t" drop column "brought";
alter table app."t" rename column "brought~next" to "brought";
create function freehold_shelf."t~brought~outdated"() returns trigger language plpgsql as 'begin new."brought" := null; return new; end';
create trigger "t~brought~outdated" before update of "body" on app."t" for each row
  when (row(old."body") is distinct from row(new."body") and old."brought" operator(freehold_ext.=) new."brought")
  execute function freehold_shelf."t~brought~outdated"();
create trigger "t~brought~due" after insert or update of "body", "brought" on app."t" for each row
  when (new."brought" is null) execute function freehold.embedding_due('t', 'brought');
commit;

-- 19. fill field t.bigger (additive)
-- Freehold embeds the rows of t in which "bigger" is null

-- 20. fill field t.more (additive)
-- Freehold embeds the rows of t in which "more" is null

-- 21. fill field t.house (additive)
-- Freehold embeds the rows of t in which "house" is null

-- 22. fill field t.half (additive)
-- Freehold embeds the rows of t in which "half" is null

-- 23. fill field t.brought (additive)
-- Freehold embeds the rows of t in which "brought" is null

-- needs --allow drop:t.brought