/** The dashboard in a real browser, before a real sidecar with real traffic. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, suite, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { noChromium, startChromium } from '../support/chromium.ts'
import { until } from '../support/poll.ts'
import { type PracticeSite, startPracticeSite } from '../support/practice-site.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const TOKEN = 'let-me-look'
/** A folder for pictures of it, to be looked at. */
const SCREENSHOTS = process.env.QIS_TEST_SCREENSHOTS
const VIEWS = {
  'desktop-light': { viewport: { width: 1280, height: 900 }, colorScheme: 'light' },
  'desktop-dark': { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' },
  'phone-light': { viewport: { width: 360, height: 740 }, colorScheme: 'light' },
  'phone-dark': { viewport: { width: 360, height: 740 }, colorScheme: 'dark' },
} as const

let place: PracticeSite
let browser: Browser
const url = () => `${place.site.admin}/qis/`

/** A page that notes whatever a browser has to complain about, and every request that goes elsewhere. */
async function open(view: (typeof VIEWS)[keyof typeof VIEWS] = VIEWS['desktop-light']) {
  const context = await browser.newContext({ ...view, bypassCSP: false })
  const page = await context.newPage()
  const faults: string[] = []
  page.on('pageerror', error => faults.push(String(error)))
  page.on('console', message => ['error', 'warning'].includes(message.type()) && faults.push(message.text()))
  page.on('request', request => request.url().startsWith(place.site.admin) || faults.push(`asked ${request.url()}`))
  page.on('requestfailed', request => faults.push(`failed ${request.url()}`))
  await page.goto(url())
  return { page, faults, [Symbol.asyncDispose]: () => context.close() }
}

async function enter(page: Page, token = TOKEN): Promise<void> {
  await page.getByLabel('Admin token').fill(token)
  await page.keyboard.press('Enter')
}

/** Until all of it is there; so much that the page shows is asked for one after another. */
async function look(page: Page): Promise<void> {
  await enter(page)
  await page.locator('#ledger .packet').first().waitFor()
  await page.locator('#answers li').first().waitFor()
}

suite('the dashboard', { skip: noChromium }, () => {
  before(async () => {
    place = await startPracticeSite({ QIS_ADMIN_TOKEN: TOKEN })
    browser = await startChromium()
  })
  after(async () => {
    await browser?.close()
    await place?.[Symbol.asyncDispose]()
  })

  test('asks for the token, refuses a wrong one, keeps the right one in the tab, and forgets it', async () => {
    await using tab = await open()
    const { page } = tab
    await page.getByRole('heading', { name: 'Who may look' }).waitFor()
    assert.equal(await page.locator('#board').isVisible(), false)
    await enter(page, 'guessed')
    await page.getByText('This is not the token of this node.').waitFor()
    assert.equal(await page.locator('#board').isVisible(), false)
    await look(page)
    await page.reload()
    await page.locator('#ledger .packet').first().waitFor()
    await page.getByRole('button', { name: 'Forget the token' }).click()
    await page.getByRole('heading', { name: 'Who may look' }).waitFor()
    assert.equal(await page.evaluate('sessionStorage.length + localStorage.length'), 0)
    assert.equal(await page.evaluate('document.cookie'), '')
    assert.deepEqual(tab.faults, [])
  })

  test('shows what the node does and knows, whether it is right, and leaves the origin for nothing', async () => {
    await using tab = await open()
    const { page } = tab
    await look(page)
    const tile = async (name: string) =>
      page.locator('dl > div', { has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) }).innerText()
    assert.match(await tile('Questions a second'), /[1-9]\S*\s+1\d since the start/)
    assert.match(await tile('Feedback'), /9\s+6 good, 3 bad/)
    assert.match(await tile('Added to a question'), /[\d.]+ ms/)
    assert.match(await tile('Peers'), /1\s+connected now/)
    assert.match(await tile('Packets in'), /[1-9]/)
    assert.match(await page.locator('#upstreams').innerText(), /answers http:\/\/127\.0\.0\.1/)
    assert.match(await page.locator('#peers').innerText(), /not proven yet/)
    const grid = page.locator('#grid')
    assert.match(await grid.getByRole('row', { name: /^clinical/ }).innerText(), /[1-4]\d %\s+3 own/)
    assert.match(await grid.getByRole('row', { name: /^school/ }).innerText(), /[6-9]\d %\s+3 own/)
    assert.match(await page.locator('#worst').innerText(), /like [^%]*medicine doses[^%]*clinical/)
    assert.match(await page.locator('#best').innerText(), /like capitals and countries/)
    assert.match(await page.locator('#reliability').innerText(), /Over \d+ rated answers, what was told was off by/)
    assert.ok((await page.locator('.diagram circle').count()) > 0)
    assert.ok((await page.locator('#chart-rate canvas').count()) === 1)
    assert.deepEqual(tab.faults, [])
  })

  test('draws a past that the node has kept, and shows more of it when asked', async () => {
    await using tab = await open()
    const { page } = tab
    await look(page)
    await until(
      'a point in the chart',
      async () => /Questions: last/.test(await page.locator('#chart-rate').innerText()),
      {
        deadlineMs: 60_000,
      },
    )
    await page.getByLabel('6 h').check()
    await until('six hours', async () => (await page.locator('#span input:checked').getAttribute('value')) === '21600')
    assert.deepEqual(tab.faults, [])
  })

  test('lists what left in words, with each field of a packet, and checks the chain', async () => {
    await using tab = await open()
    const { page } = tab
    await look(page)
    const bad = page.locator('#ledger li', { hasText: 'was rated bad by a person, for its facts' }).first()
    await bad.waitFor()
    assert.match(await bad.innerText(), /question like .*medicine doses[\s\S]*domain clinical; .*, to 1 peer/)
    await bad.getByText(/All \d+ bytes of it/).click()
    const words = await bad.innerText()
    for (const said of [
      /Domain\s+clinical/,
      /Who judged\s+a person; not which one/,
      /When\s+[\d-]+, \d\d h UTC/,
      /On account of\s+qis-/,
    ]) {
      assert.match(words, said)
    }
    assert.match(words, /As it left: \{"v":1,/)
    assert.doesNotMatch(await page.locator('#left').innerText(), /ibuprofen|undefined|null/)
    await page.getByRole('button', { name: 'Check that nothing is hidden' }).click()
    await page.getByText(/entries in one unbroken chain/).waitFor()
    assert.match(await page.locator('#verdict code').innerText(), /^\d+:[0-9a-f]{64}$/)
    assert.deepEqual(tab.faults, [])
  })

  test('takes a rating of a recent answer, and takes it back', async () => {
    await using tab = await open()
    const { page } = tab
    await look(page)
    const id = place.unrated.slice(-10)
    await page.getByLabel(`Bad answer: …${id}`).focus()
    await page.keyboard.press('Enter')
    await page.getByText(/^Taken\. It counts from now on\./).waitFor()
    const pressed = page.locator(`[aria-label="Bad answer: …${id}"][aria-pressed="true"]`)
    await pressed.waitFor()
    await page.getByLabel(`Take back: …${id}`).click()
    await page.getByText(/^Taken back\./).waitFor()

    await page.getByLabel('Request id').fill(place.unrated)
    await page.getByLabel('If bad').selectOption('reasoning')
    await page.locator('#rate').getByRole('button', { name: 'Bad answer' }).click()
    await page
      .getByText(/^Taken: it replaces/)
      .or(page.getByText(/^Taken\. It counts/))
      .waitFor()
    await page.getByLabel('Request id').fill('qis-nobody-has-it')
    await page.locator('#rate').getByRole('button', { name: 'Good answer' }).click()
    await page.getByText(/^Not taken:/).waitFor()
    // Of the last, which was to be refused.
    assert.deepEqual(
      tab.faults.filter(fault => !/status of 4\d\d/.test(fault)),
      [],
    )
  })

  test('gives advice on a text, and says why', async () => {
    await using tab = await open()
    const { page } = tab
    await look(page)
    await page.getByRole('textbox', { name: 'A question' }).fill('How much ibuprofen may an adult take each day?')
    await page.getByRole('combobox', { name: 'Domain' }).fill('clinical')
    assert.equal(await page.getByRole('combobox', { name: 'Model' }).last().inputValue(), 'm')
    await page.getByRole('button', { name: 'What is known?' }).click()
    const advice = page.locator('#advice')
    await advice.getByText('expected good').waitFor()
    const words = await advice.innerText()
    assert.match(words, /^\s*[0-4]?\d %/)
    assert.match(words, /Evidence: (low|moderate|high)\. \d+ outcomes? of this model nearby/)
    assert.match(words, /Rated good once more: \d+ %; rated bad: \d+ %/)
    assert.deepEqual(tab.faults, [])
  })

  for (const [name, view] of Object.entries(VIEWS)) {
    test(`has nothing serious against it for those who see or hear it otherwise, and fits: ${name}`, async () => {
      await using tab = await open(view)
      const { page } = tab
      // As the page's own rules have it, no foreign script gets in; so the judge comes in beside them.
      const judge = async () => {
        await page.evaluate(AXE)
        const { violations } = (await page.evaluate('axe.run()')) as { violations: Violation[] }
        return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(describe)
      }
      await page.getByRole('heading', { name: 'Who may look' }).waitFor()
      assert.deepEqual(await judge(), [])
      await look(page)
      await page.locator('#ledger summary').first().click()
      assert.deepEqual(await judge(), [])
      assert.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'nothing is cut off')
      if (SCREENSHOTS !== undefined) await page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage: true })
      assert.deepEqual(tab.faults, [])
    })
  }

  test('can be walked through by keyboard alone', async () => {
    await using tab = await open()
    const { page } = tab
    await look(page)
    await page.reload()
    await page.locator('#ledger .packet').first().waitFor()
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to the content')
    await page.keyboard.press('Enter')
    const seen = new Set<string>()
    for (let i = 0; i < 80 && !seen.has('verify'); i++) {
      await page.keyboard.press('Tab')
      seen.add((await page.evaluate('document.activeElement.id || document.activeElement.name')) as string)
    }
    assert.ok(seen.has('span') && seen.has('verify'), [...seen].join())
  })
})

interface Violation {
  id: string
  impact: string
  nodes: { html: string; failureSummary: string }[]
}

function describe({ id, nodes }: Violation): string {
  return `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('; ')}`
}
