import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { suite, test } from 'node:test'
import { commands } from '../../cli/commands.ts'
import { environmentVariables } from '../../proxy/config.ts'
import { anchors, code, localLinks, type Page, readPages } from '../support/pages.ts'

const ROOT = join(import.meta.dirname, '../..')
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
const pages = readPages()
const sources = globSync(
  '{bin,cli,client,demo,deploy,docs,embeddings,examples,proxy,release,router,bench,test}/**/*.*',
  {
    cwd: ROOT,
    exclude: name => name === 'node_modules',
  },
)

/** What is wrong, each with the page where it stands. */
function faults(inPage: (page: Page) => Iterable<string>, among: readonly Page[] = pages): string[] {
  return among.flatMap(page => [...new Set(inPage(page))].map(fault => `${page.path}: ${fault}`))
}

function brokenLinks(page: Page, all: readonly Page[] = pages): string[] {
  return localLinks(page).filter(link => {
    const [file = '', anchor] = link.split('#')
    const path = file === '' ? page.path : normalize(join(dirname(page.path), file))
    if (!existsSync(join(ROOT, path)) && !all.some(other => other.path === path)) return true
    const target = all.find(other => other.path === path)
    return anchor !== undefined && !(target && anchors(target).has(anchor))
  })
}

const unknownScripts = (page: Page) =>
  [...page.text.matchAll(/\bnpm run(?: -s)? ([\w:-]*\w)/g)]
    .map(([, name = '']) => name)
    .filter(name => !Object.hasOwn(scripts, name))

/** Of the sidecar and, as `QIS_TEST_…`, of tests. */
const settings = new Set(environmentVariables)
for (const path of sources) {
  const pattern = path.startsWith('proxy/config/') ? /\bQIS_[A-Z0-9_]+/g : /\bQIS_TEST_[A-Z]+/g
  if (!/^(?:proxy\/config|test)\/.*\.ts$/.test(path)) continue
  for (const name of readFileSync(join(ROOT, path), 'utf8').match(pattern) ?? []) settings.add(name)
}

const unknownSettings = (page: Page) =>
  [...page.text.matchAll(/\bQIS_[A-Z0-9_]*[A-Z0-9]\b/g)].map(([name]) => name).filter(name => !settings.has(name))

/** Of `qis COMMAND …`, the command, the word after it where there is a choice of such, and the options. */
async function misusedCommands(page: Page): Promise<string[]> {
  const uses = code(page).flatMap(line => [...line.matchAll(/(?:^|npx |npm run(?: -s)? )qis (?:-- )?([a-z].*)/g)])
  const wrong: string[] = []
  for (const [, use = ''] of uses) {
    const [name = '', ...words] = use.split(/ [|>#] |; |\)/)[0]?.split(' ') ?? []
    if (name === 'help') continue
    const command = await commands.find(entry => entry.name === name)?.load()
    const choices = new Set(
      [...(command?.usage ?? '').matchAll(new RegExp(`qis ${name} ([a-z]+)`, 'g'))].map(([, one]) => one),
    )
    const chosen = /^[a-z]+$/.test(words[0] ?? '') ? words[0] : undefined
    const options = words.filter(word => /^--[a-z]/.test(word)).map(word => word.replace(/=.*/, ''))
    const known =
      command !== undefined &&
      (choices.size === 0 || chosen === undefined || choices.has(chosen)) &&
      options.every(option => command.usage.includes(option))
    if (!known) wrong.push(`${page.path}: qis ${use}`)
  }
  return wrong
}

/** Paths of files of ours; in the page on architecture bare names too. */
const missingFiles = (page: Page) =>
  code(page)
    .flatMap(
      span => span.match(/(?<![\w./…<>-])[\w-]+(?:[./][\w-]+)*\.(?:ts|wat|wasm|py|sh|yml|svg|md)(?![\w-])/g) ?? [],
    )
    .filter(name => name.includes('/') || page.path === 'docs/architecture.md')
    .filter(name => !sources.some(path => path === name || path.endsWith(`/${name}`)) && !existsSync(join(ROOT, name)))

/** npm writes two lines of its own before what the command says, unless it is told to be silent. */
const spoiltFiles = (page: Page) => code(page).filter(line => /npm run (?!-s\b)[^|]*[^-|]>+ ?[\w/."$]/.test(line))

suite('the pages', () => {
  test('link to pages, headings and files that there are', () => {
    assert.ok(pages.length > 15)
    assert.deepEqual(faults(brokenLinks), [])
  })

  test('name scripts and settings that there are', () => {
    assert.deepEqual(faults(unknownScripts), [])
    assert.deepEqual(faults(unknownSettings), [])
  })

  test('name commands, parts of commands and options that there are', async () => {
    assert.deepEqual((await Promise.all(pages.map(misusedCommands))).flat(), [])
  })

  test('let nothing but what a command says into a file', () => {
    assert.deepEqual(faults(spoiltFiles), [])
  })

  test('name files that there are', () => {
    assert.deepEqual(faults(missingFiles), [])
  })

  test('would not pass with a name of nothing', async () => {
    const page = (text: string): Page => ({ path: 'docs/architecture.md', text })
    const linked = page('[a](nothing.md) [b](#nothing) [c](feedback.md) [d](#here)\n\n## Here\n')
    assert.deepEqual(brokenLinks(linked, [linked]), ['nothing.md', '#nothing'])
    assert.deepEqual(unknownScripts(page('`npm run bnech`')), ['bnech'])
    assert.equal(spoiltFiles(page('`npm run qis -- export > a`, `npm run -s qis -- export > a`')).length, 1)
    assert.deepEqual(unknownSettings(page('QIS_NOTHING, QIS_DATA, QIS_TEST_MINILM')), ['QIS_NOTHING'])
    assert.equal(
      (await misusedCommands(page('`qis spaec`, `qis space trian`, `qis ledger --al`, `qis space train`'))).length,
      3,
    )
    assert.deepEqual(missingFiles(page('`proxy/mian.ts`, `proxy/main.ts`, `nothing.ts`')), [
      'proxy/mian.ts',
      'nothing.ts',
    ])
  })

  test('are all listed in the table of contents', () => {
    const contents = pages.find(({ path }) => path === 'docs/README.md')
    assert.ok(contents)
    const listed = new Set(localLinks(contents).map(link => normalize(join('docs', link.split('#')[0] ?? ''))))
    const others = pages
      .map(({ path }) => path)
      .filter(path => /^docs\/[^/]+\.md$/.test(path) && path !== contents.path)
    assert.deepEqual(
      others.filter(path => !listed.has(path)),
      [],
    )
  })
})
