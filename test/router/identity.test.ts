import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { loadIdentity } from '../../router/identity.ts'
import { temporaryFolder } from '../support/router-support.ts'

describe('an identity', () => {
  it('is made on first start, in a file that only its owner can read', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('identity.key')
    const { id } = await loadIdentity(file)
    assert.match(id, /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
  })

  it('stays the same from start to start, and differs from every other', async () => {
    await using folder = await temporaryFolder()
    const first = await loadIdentity(folder.path('a'))
    const again = await loadIdentity(folder.path('a'))
    const other = await loadIdentity(folder.path('b'))
    assert.equal(again.id, first.id)
    assert.ok(again.privateKey.equals(first.privateKey))
    assert.deepEqual(again.secret('answer'), first.secret('answer'))
    assert.notEqual(other.id, first.id)
    assert.notDeepEqual(other.secret('answer'), first.secret('answer'))
  })

  it('has another secret for each purpose, and none is the key', async () => {
    await using folder = await temporaryFolder()
    const { secret, privateKey } = await loadIdentity(folder.path('identity.key'))
    const secrets = ['answer', 'receipt', ''].map(purpose => secret(purpose).toString('hex'))
    assert.equal(new Set(secrets).size, 3)
    for (const hex of secrets) {
      assert.equal(hex.length, 64)
      assert.ok(!Buffer.from(privateKey.raw).toString('hex').includes(hex))
    }
  })

  it('is not made up anew where the file holds something else; the file is named and left as it is', async () => {
    await using folder = await temporaryFolder()
    const otherKind = privateKeyToProtobuf(await generateKeyPair('secp256k1'))
    for (const content of ['', 'garbage', '\0\x01\x02', Buffer.from(otherKind).toString('base64')]) {
      const file = folder.path('identity.key')
      await writeFile(file, content)
      const before = await stat(file)
      await assert.rejects(loadIdentity(file), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ERR_IDENTITY_INVALID')
        assert.ok(error.message.startsWith(`${file} does not hold an Ed25519 key`), error.message)
        return true
      })
      assert.equal(await readFile(file, 'utf8'), content)
      assert.equal((await stat(file)).mtimeMs, before.mtimeMs)
    }
  })

  it('that cannot be read is not replaced', async () => {
    await using folder = await temporaryFolder()
    await assert.rejects(loadIdentity(folder.path('.')), { code: 'ERR_IDENTITY_INVALID', message: /EISDIR/ })
  })
})
