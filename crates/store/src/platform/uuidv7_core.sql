-- PostgreSQL 18 has the function.
set local role freehold_gate;
create or replace function freehold.uuidv7() returns uuid language sql volatile parallel safe return uuidv7();
reset role;
