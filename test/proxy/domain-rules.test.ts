import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { ConfigInvalidError } from '../../proxy/config.ts'
import { type DomainRules, readDomainRules } from '../../proxy/domain/rules.ts'
import { tempFolder } from '../support/temp-folder.ts'

const HASH = 'a'.repeat(64)

async function reading(text: string): Promise<DomainRules> {
  await using folder = await tempFolder()
  const file = join(folder.path, 'domains.yaml')
  await writeFile(file, text)
  return await readDomainRules(file)
}

suite('the file of domains', () => {
  test('is YAML or JSON', async () => {
    const expected = {
      threshold: 0.4,
      domains: { clinic: { keys_sha256: [HASH], paths: ['/clinic'], examples: ['How much aspirin?'] } },
    }
    const yaml = `
# the ward
threshold: 0.4
domains:
  clinic:
    keys_sha256: [${HASH}]
    paths: [/clinic]
    examples:
      - How much aspirin?
`
    assert.deepEqual(await reading(yaml), expected)
    assert.deepEqual(await reading(JSON.stringify(expected)), expected)
  })

  const bad: [what: string, text: string, said: string][] = [
    ['nothing', '', 'it must hold domains, perhaps threshold, and nothing else'],
    ['no domain', 'domains: {}', 'domains must hold 1 to 64 domains'],
    ['no domains', 'threshold: 1', 'domains must hold 1 to 64 domains'],
    [
      '65 domains',
      JSON.stringify({
        domains: Object.fromEntries(
          Array(65)
            .entries()
            .map(([i]) => [`d${i}`, { paths: [] }]),
        ),
      }),
      'domains must hold 1 to 64 domains',
    ],
    ['a name with a space', 'domains: {my law: {paths: [/a]}}', 'domains.my law is unknown; domains must hold'],
    [
      'an unknown field',
      'domains: {law: {path: /a}}',
      'domains.law.path is unknown; domains.law must hold keys_sha256',
    ],
    ['an unknown section', 'rules: []\ndomains: {law: {paths: [/a]}}', 'rules is unknown; it must hold domains'],
    ['an empty domain', 'domains: {law: {}}', 'domains.law must hold keys_sha256, paths or examples'],
    ['one where a list must be', 'domains: {law: {paths: /a}}', 'domains.law.paths must be a list'],
    ['a path without its slash', 'domains: {law: {paths: [/a, law]}}', 'domains.law.paths[1] must be the beginning'],
    ['a number for a phrase', 'domains: {law: {examples: [a, b, 3]}}', 'domains.law.examples[2] must be a phrase'],
    ['an empty phrase', "domains: {law: {examples: ['']}}", 'domains.law.examples[0] must be a phrase'],
    ['a threshold in percent', 'threshold: 40\ndomains: {law: {paths: [/a]}}', 'threshold must be a cosine'],
    [
      'a path of two domains',
      'domains: {a: {paths: [/x]}, b: {paths: [/y, /x]}}',
      'domains.b.paths[1] is one of a already',
    ],
    ['broken YAML', 'domains: [', 'is neither YAML nor JSON: '],
    [
      'a name twice',
      'domains: {a: {paths: [/x]}, a: {paths: [/y]}}',
      'is neither YAML nor JSON: Map keys must be unique',
    ],
  ]
  for (const [what, text, said] of bad) {
    test(`with ${what} is refused, and the field named`, () =>
      assert.rejects(reading(text), error => {
        assert.ok(error instanceof ConfigInvalidError)
        assert.match(error.message, /^QIS_DOMAINS: .*domains\.yaml/)
        assert.ok(error.message.includes(said), error.message)
        assert.ok(!error.message.includes('\n'))
        return true
      }))
  }

  test('never sees a key repeated in an error that was put where its hash belongs', () =>
    assert.rejects(reading('domains: {law: {keys_sha256: [sk-secret]}}'), error => {
      assert.match(String(error), /domains\.law\.keys_sha256\[0\] must be the SHA-256 of an API key/)
      assert.ok(!String(error).includes('sk-secret'))
      return true
    }))

  test('that is not there is named', () =>
    assert.rejects(readDomainRules('/nowhere/domains.yaml'), {
      code: 'ERR_CONFIG_INVALID',
      message: 'QIS_DOMAINS: /nowhere/domains.yaml cannot be read (ENOENT)',
    }))
})
