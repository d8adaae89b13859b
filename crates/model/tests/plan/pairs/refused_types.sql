FH020 a.n cannot be changed from jsonb to integer
  declare the new field under another name, move the values, then remove this one
FH020 the vectors of a.v cannot be changed from freehold_ext.vector(30) to freehold_ext.vector(40), and it is required
  make it optional first; to keep the values, add a second field and remove this one later
FH020 a.w cannot be changed from freehold_ext.vector(30) to text
  declare the new field under another name, move the values, then remove this one
FH020 a.new is required, but the rows that are there have no value for it
  give it a default, or make it optional first
FH020 a.link is required, but the rows that are there have no value for it
  give it a default, or make it optional first
FH020 a.q cannot be changed from integer[] to integer
  declare the new field under another name, move the values, then remove this one
