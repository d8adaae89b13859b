"""postgrest from PyPI with Freehold: python films.py URL KEY OTHER_TENANTS_KEY"""

import asyncio
import sys

from postgrest import APIError, AsyncPostgrestClient, CountMethod, ReturnMethod, SyncPostgrestClient

url, key, other_key = sys.argv[1:]


def client(key, **options):
    return SyncPostgrestClient(f"{url}/rest/v1", headers={"apikey": key, "Authorization": f"Bearer {key}"}, **options)


films, other = client(key), client(other_key)


def refused(code, request):
    try:
        request.execute()
    except APIError as error:
        assert error.code == code, error
        return error
    raise AssertionError(f"was not refused with {code}")


# Writes. Rows come back unless one says that they should not.
lang = films.from_("director").insert({"name": "Fritz Lang"}).execute().data[0]
varda = films.from_("director").insert({"name": "Agnès Varda", "country": "France"}).execute().data[0]
quiet = films.from_("director").insert({"name": "Nobody"}, returning=ReturnMethod.minimal).execute()
assert quiet.data == [], quiet
made = (
    films.from_("film")
    .insert(
        [
            {"slug": "m", "title": "M", "year": 1931, "director": lang["id"], "rating": 8.3, "tags": ["crime"], "mood": [1, 0, 0]},
            {"slug": "metropolis", "title": "Metropolis", "year": 1927, "director": lang["id"], "mood": [0.9, 0.1, 0]},
            {"slug": "cleo", "title": "Cléo from 5 to 7", "year": 1962, "director": varda["id"], "facts": {"length": 90}},
        ],
        count=CountMethod.exact,
        default_to_null=False,
    )
    .execute()
)
assert made.count == 3 and [film["tags"] for film in made.data] == [["crime"], [], []], made
updated = films.from_("film").update({"seen": True}, count=CountMethod.exact).in_("slug", ["m", "cleo"]).execute()
assert updated.count == 2 and all(film["seen"] for film in updated.data), updated


# Filters.
def slugs(build):
    return [film["slug"] for film in build(films.from_("film").select("slug")).order("year").execute().data]


for wanted, build in [
    (["metropolis", "m", "cleo"], lambda q: q),
    (["m"], lambda q: q.eq("slug", "m")),
    (["metropolis", "cleo"], lambda q: q.neq("slug", "m")),
    (["cleo"], lambda q: q.gt("year", 1931)),
    (["metropolis", "m"], lambda q: q.lte("year", 1931)),
    (["metropolis", "m"], lambda q: q.like("slug", "m%")),
    (["metropolis"], lambda q: q.ilike("title", "%POLIS")),
    (["m", "cleo"], lambda q: q.like_any_of("slug", "m,c%")),
    (["m", "cleo"], lambda q: q.is_("seen", True)),
    (["metropolis", "cleo"], lambda q: q.is_("rating", None)),
    (["m"], lambda q: q.not_.is_("rating", None)),
    (["m", "cleo"], lambda q: q.in_("slug", ["m", "cleo", 'none, "really"'])),
    (["metropolis"], lambda q: q.not_.in_("slug", ["m", "cleo"])),
    (["m"], lambda q: q.contains("tags", ["crime"])),
    (["cleo"], lambda q: q.contains("facts", {"length": 90})),
    (["metropolis", "cleo"], lambda q: q.contained_by("tags", [])),
    (["m"], lambda q: q.overlaps("tags", ["crime", "comedy"])),
    (["cleo"], lambda q: q.eq("facts->>length", "90")),
    (["metropolis", "cleo"], lambda q: q.or_("slug.eq.cleo,and(year.gt.1920,year.lt.1930)")),
    (["m"], lambda q: q.match({"seen": True, "year": 1931})),
    (["cleo"], lambda q: q.eq("title", "Cléo from 5 to 7")),
    (["m"], lambda q: q.range(1, 1)),
    (["metropolis", "m"], lambda q: q.limit(2)),
]:
    assert slugs(build) == wanted, (wanted, slugs(build))
found = films.from_("film").select("slug").text_search("title", "metropolis").execute()
assert found.data == [{"slug": "metropolis"}], found

# One row, counts, CSV.
one = films.from_("film").select("year").eq("slug", "m").single().execute()
assert one.data == {"year": 1931}, one
assert films.from_("film").select("year").eq("slug", "m").maybe_single().execute().data == {"year": 1931}
assert films.from_("film").select("year").eq("slug", "none").maybe_single().execute() is None
refused("PGRST116", films.from_("film").select("year").single())
counted = films.from_("film").select("slug", count=CountMethod.exact).order("year").limit(1).execute()
assert counted.count == 3 and counted.data == [{"slug": "metropolis"}], counted
head = films.from_("film").select("*", count=CountMethod.exact, head=True).gt("year", 1930).execute()
assert head.count == 2 and head.data == [], head
csv = films.from_("film").select("slug,year").order("year").limit(2).csv().execute()
assert csv.data == "slug,year\nmetropolis,1927\nm,1931", csv

# Embeds.
film = films.from_("film").select("slug, director(name)").eq("slug", "m").single().execute()
assert film.data == {"slug": "m", "director": {"name": "Fritz Lang"}}, film
directors = films.from_("director").select("name, films:film!inner(slug)").eq("films.slug", "m").execute()
assert directors.data == [{"name": "Fritz Lang", "films": [{"slug": "m"}]}], directors
spread = films.from_("film").select("slug,...director(by:name)").eq("slug", "cleo").execute()
assert spread.data == [{"slug": "cleo", "by": "Agnès Varda"}], spread
latest = (
    films.from_("director")
    .select("name,film(slug)")
    .eq("name", "Fritz Lang")
    .order("year", desc=True, foreign_table="film")
    .limit(1, foreign_table="film")
    .execute()
)
assert latest.data == [{"name": "Fritz Lang", "film": [{"slug": "m"}]}], latest

# Upserts.
merged = films.from_("film").upsert({"slug": "m", "title": "M", "year": 1931, "rating": 9}, on_conflict="slug").execute()
assert [(film["rating"], film["seen"]) for film in merged.data] == [(9, True)], merged
both = films.from_("director").upsert([{"name": "Fritz Lang", "country": "Austria"}, {"name": "Chantal Akerman"}], on_conflict="name").execute()
assert len(both.data) == 2, both
ignored = films.from_("director").upsert({"name": "Fritz Lang"}, on_conflict="name", ignore_duplicates=True).execute()
assert ignored.data == [], ignored

# Functions.
assert films.rpc("add", {"a": 1, "b": 2}).execute().data == 3
assert films.rpc("add", {"a": 1}, get=True).execute().data == 2
assert films.rpc("longest", {"words": ["a", "long, one"]}, get=True).execute().data == "long, one"
since = films.rpc("films_since", {"since": 1927}, count=CountMethod.exact).select("slug").neq("slug", "m").execute()
assert since.count == 2 and [film["slug"] for film in since.data] == ["metropolis", "cleo"], since
assert films.rpc("films_since", {"since": 1927}, count=CountMethod.exact, head=True).execute().count == 3
assert films.rpc("films_since", {"since": 1960}).select("slug").csv().execute().data == "slug\ncleo"
assert films.rpc("mark_seen", {"slug": "metropolis"}).execute().data == []
error = refused("P0001", films.rpc("refuse", {"why": "not on Sundays"}))
assert (error.message, error.hint) == ("not on Sundays", "the hint"), error

# Errors; that of a HEAD is told by a header alone.
refused("PGRST205", films.from_("films").select("*"))
refused("PGRST205", films.from_("films").select("*", head=True))
refused("PGRST204", films.from_("film").insert({"nothing": 1}))
refused("PGRST200", films.from_("film").select("documents(id)"))
refused("23505", films.from_("film").insert({"slug": "m", "title": "M", "year": 1931}))
refused("23502", films.from_("film").insert({"slug": "x"}))
refused("PGRST106", client(key, schema="secret").from_("film").select("*"))
refused("PGRST301", client("fh_wrong").from_("film").select("*"))
refused("PGRST124", films.from_("film").delete().gt("year", 0).max_affected(1))

# As LangChain's vector store writes and asks.
documents = [
    {"id": "0199c0de-0000-7000-8000-000000000001", "content": "of cats", "metadata": {"kind": "animal"}, "embedding": [1.0, 0, 0, 0]},
    {"id": "0199c0de-0000-7000-8000-000000000002", "content": "of dogs", "metadata": {"kind": "animal"}, "embedding": [0.9, 0.1, 0, 0]},
    {"id": "0199c0de-0000-7000-8000-000000000003", "content": "of ships", "metadata": {"kind": "thing"}, "embedding": [0, 0, 1.0, 0]},
]
assert len(films.from_("documents").upsert(documents).execute().data) == 3
query = films.rpc("match_documents", {"query_embedding": [1.0, 0, 0, 0], "filter": {"kind": "animal"}})
query.request.params = query.request.params.set("limit", 1)
assert [(row["content"], row["similarity"]) for row in query.execute().data] == [("of cats", 1)]
query = films.rpc("match_documents", {"query_embedding": [1.0, 0, 0, 0]})
query.request.params = query.request.params.set("and", "(metadata->>kind.eq.thing)").set("limit", 4)
assert [row["content"] for row in query.execute().data] == ["of ships"]
near = films.from_("documents").select("content,embedding.distance()").filter("embedding", "nearest", "[0,0,1,0]").limit(1).execute()
assert near.data == [{"content": "of ships", "distance": 0}], near
like = films.from_("film").select("slug").filter("mood", "nearest", "row:slug.m").limit(1).execute()
assert like.data == [{"slug": "metropolis"}], like
assert films.from_("documents").delete().eq("id", documents[0]["id"]).execute().data[0]["content"] == "of cats"

# Another tenant has nothing of all this.
assert other.from_("film").select("*").execute().data == []
assert other.rpc("years", {}).execute().data == []
assert "tenant_id" not in str(films.from_("film").select("*").execute().data)


async def asynchronous():
    async with AsyncPostgrestClient(f"{url}/rest/v1", headers={"apikey": key}) as films:
        asked = [films.from_("film").select("slug").eq("slug", slug).execute() for slug in ("m", "cleo")]
        assert [answer.data for answer in await asyncio.gather(*asked)] == [[{"slug": "m"}], [{"slug": "cleo"}]]


asyncio.run(asynchronous())
assert len(films.from_("film").delete().in_("slug", ["m", "metropolis"]).execute().data) == 2
print("all as it should be")
