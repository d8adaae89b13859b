// What @supabase/storage-js does with Freehold: node files.mjs URL KEY BUCKET
import assert from 'node:assert/strict'
import { StorageClient } from '@supabase/storage-js'

const [, , url, key, name, otherKey] = process.argv
const client = new StorageClient(`${url}/storage/v1`, { apikey: key, Authorization: `Bearer ${key}` })
const bucket = client.from(name)

const fine = ({ data, error }) => {
  assert.equal(error, null, error?.message)
  return data
}

// Upload: bytes, a blob (which is sent as a form), and what is there already.
const hello = fine(await bucket.upload('notes/hello.txt', Buffer.from('hello'), { contentType: 'text/plain' }))
assert.equal(hello.path, 'notes/hello.txt')
const image = new Blob([new Uint8Array(300_000).fill(7)], { type: 'image/png' })
fine(await bucket.upload('notes/ä ö&+.png', image))
const again = await bucket.upload('notes/hello.txt', Buffer.from('x'))
assert.equal(again.error.status, 409)
fine(await bucket.upload('notes/hello.txt', Buffer.from('hello again'), { contentType: 'text/plain', upsert: true }))
fine(await bucket.update('notes/hello.txt', Buffer.from('hello world'), { contentType: 'text/plain' }))
assert.equal((await bucket.update('nothing.txt', Buffer.from('x'))).error.status, 404)

// Download.
assert.equal(await fine(await bucket.download('notes/hello.txt')).text(), 'hello world')
const back = await fine(await bucket.download('notes/ä ö&+.png')).arrayBuffer()
assert.deepEqual(new Uint8Array(back), new Uint8Array(300_000).fill(7))
assert.notEqual((await bucket.download('notes/none.txt')).error, null)
assert.equal((await bucket.exists('notes/hello.txt')).data, true)
assert.equal((await bucket.exists('notes/none.txt')).data, false)
const info = fine(await bucket.info('notes/hello.txt'))
assert.equal(info.size, 11)
assert.equal(info.contentType, 'text/plain')

// List: folders, then files.
fine(await bucket.upload('top.txt', Buffer.from('top'), { contentType: 'text/plain' }))
assert.deepEqual(fine(await bucket.list()).map((o) => [o.name, o.id === null]), [['notes', true], ['top.txt', false]])
const notes = fine(await bucket.list('notes', { limit: 1, sortBy: { column: 'name', order: 'desc' } }))
assert.equal(notes[0].name, 'ä ö&+.png')
assert.equal(notes[0].metadata.size, 300_000)
assert.deepEqual(fine(await bucket.list('notes', { search: 'HELL' })).map((o) => o.name), ['hello.txt'])

// Page by page.
const first = fine(await bucket.listV2({ limit: 1, with_delimiter: true }))
assert.deepEqual([first.folders.map((f) => f.name), first.objects, first.hasNext], [['notes/'], [], true])
const second = fine(await bucket.listV2({ limit: 1, with_delimiter: true, cursor: first.nextCursor }))
assert.deepEqual([second.objects.map((o) => [o.name, o.metadata.size]), second.hasNext], [[['top.txt', 3]], false])
const flat = fine(await bucket.listV2({ prefix: 'notes/', sortBy: { column: 'created_at', order: 'asc' } }))
assert.equal(flat.objects.length, 2)

// Move, copy.
fine(await bucket.move('notes/hello.txt', 'moved.txt'))
fine(await bucket.copy('moved.txt', 'copied.txt'))
assert.equal(await fine(await bucket.download('copied.txt')).text(), 'hello world')
assert.equal((await bucket.move('none.txt', 'x.txt')).error.status, 404)
assert.equal((await bucket.copy('moved.txt', 'copied.txt')).error.status, 409)

// Signed URLs, for reading and for uploading.
const { signedUrl } = fine(await bucket.createSignedUrl('moved.txt', 60, { download: 'a name.txt' }))
const signed = await fetch(signedUrl)
assert.equal(await signed.text(), 'hello world')
assert.match(signed.headers.get('content-disposition'), /^attachment; filename="a name.txt"/)
assert.equal((await fetch(signedUrl.replace('moved', 'copied'))).status, 401)
assert.equal((await fetch(signedUrl, { method: 'PUT', body: 'x' })).status, 405)
const many = fine(await bucket.createSignedUrls(['moved.txt', 'none.txt'], 60))
assert.equal(many[0].error, null)
assert.notEqual(many[1].error, null)
const up = fine(await bucket.createSignedUploadUrl('sent.txt'))
fine(await bucket.uploadToSignedUrl(up.path, up.token, Buffer.from('sent'), { contentType: 'text/plain' }))
assert.equal(await fine(await bucket.download('sent.txt')).text(), 'sent')
assert.notEqual((await bucket.uploadToSignedUrl('other.txt', up.token, Buffer.from('x'))).error, null)

// Ranges and conditions.
const head = { apikey: key }
const at = `${url}/storage/v1/object/${name}/moved.txt`
const part = await fetch(at, { headers: { ...head, range: 'bytes=6-' } })
assert.deepEqual([part.status, part.headers.get('content-range'), await part.text()], [206, 'bytes 6-10/11', 'world'])
const etag = part.headers.get('etag')
assert.equal((await fetch(at, { headers: { ...head, 'if-none-match': etag } })).status, 304)
assert.equal((await fetch(at, { headers: { ...head, range: 'bytes=11-' } })).status, 416)
assert.equal((await fetch(at, { headers: { ...head, range: 'bytes=0-1', 'if-range': '"old"' } })).status, 200)
const html = await bucket.upload('page.html', Buffer.from('<script>1</script>'), { contentType: 'text/html' })
assert.equal(html.error, null)
const page = await fetch(`${url}/storage/v1/object/${name}/page.html`, { headers: head })
assert.match(page.headers.get('content-disposition'), /^attachment/)
assert.equal(page.headers.get('x-content-type-options'), 'nosniff')

// Another tenant has nothing of all this.
const other = new StorageClient(`${url}/storage/v1`, { apikey: otherKey, Authorization: `Bearer ${otherKey}` }).from(name)
assert.deepEqual(fine(await other.list()), [])
assert.notEqual((await other.download('moved.txt')).error, null)
assert.deepEqual(fine(await other.remove(['moved.txt'])), [])

// Remove.
const gone = fine(await bucket.remove(['moved.txt', 'copied.txt', 'none.txt']))
assert.deepEqual(gone.map((o) => o.name), ['moved.txt', 'copied.txt'])
assert.equal(fine(await client.listBuckets())[0].id, name)
console.log('all as it should be')
