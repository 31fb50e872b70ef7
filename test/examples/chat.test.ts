import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { suite, test } from 'node:test'
import { createChatServer } from '../../examples/chat/server.ts'
import { createPracticeModel } from '../../proxy/practice/server.ts'
import { noChromium, startChromium } from '../support/chromium.ts'
import { startTestSidecar } from '../support/sidecar.ts'

const QUESTION = 'How much ibuprofen may an adult take per day?'
/** Where the README's picture goes. */
const SCREENSHOT = process.env.QIS_TEST_SCREENSHOT

async function run() {
  const parts = new AsyncDisposableStack()
  const model = parts.use(createPracticeModel())
  const sidecar = parts.use(await startTestSidecar(await model.listen()))
  const server = createChatServer(sidecar.data).listen(0, '127.0.0.1')
  parts.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const post = (path: string, body: object, headers = {}) =>
    fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body), headers })
  return { url, post, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

suite('the example of a chat with thumbs', () => {
  test('hands answers on with what they say of themselves, and thumbs to the sidecar', async () => {
    await using site = await run()
    assert.match(await (await fetch(site.url)).text(), /<title>Chat with thumbs/)
    const ask = () =>
      site.post('/v1/chat/completions', { model: 'm', stream: true, messages: [{ role: 'user', content: QUESTION }] })
    const answer = await ask()
    assert.match(await answer.text(), /^data: \{/)
    const receipt = answer.headers.get('x-qis-receipt')
    const rated = await site.post('/feedback', { receipt, rating: 'down' })
    assert.equal(((await rated.json()) as { status: string }).status, 'accepted')
    assert.ok(Number((await ask()).headers.get('x-qis-confidence')) < 0.5)
  })

  test('hands on nothing else, and nothing from other pages', async () => {
    await using site = await run()
    assert.equal((await site.post('/qis/feedback', {})).status, 404)
    assert.equal((await fetch(`${site.url}/v1/embeddings`)).status, 404)
    assert.equal((await site.post('/feedback', {}, { origin: 'http://evil.example' })).status, 403)
    assert.equal((await site.post('/feedback', { receipt: 'forged', rating: 'up' })).status, 422)
  })

  test('in a real browser: an answer, a thumb down, and the next such answer is expected to be worse', {
    skip: noChromium,
  }, async () => {
    await using site = await run()
    const browser = await startChromium()
    try {
      const page = await browser.newPage({ viewport: { width: 900, height: 760 } })
      const faults: string[] = []
      page.on('pageerror', error => faults.push(String(error)))
      page.on('console', message => message.type() === 'error' && faults.push(message.text()))
      page.on('requestfailed', request => faults.push(request.url()))
      await page.goto(site.url)
      await page.locator('#model option').first().waitFor({ state: 'attached' })

      const ask = async (question: string, nth: number) => {
        await page.getByLabel('Your question').fill(question)
        await page.keyboard.press('Enter')
        const answer = page.locator('.answer').nth(nth)
        await answer.getByLabel('Bad answer').waitFor()
        return answer
      }
      const first = await ask(QUESTION, 0)
      assert.match(await first.innerText(), /nothing known about such questions yet/)
      await first.getByLabel('Bad answer').click()
      await first.getByText('thank you').waitFor()
      await first.getByLabel('Correction').fill('At most 1200 mg without a doctor.')
      await first.getByRole('button', { name: 'Send' }).click()
      await first.getByText('thank you for the correction').waitFor()

      const good = await ask('What is 4711 multiplied by 23?', 1)
      await good.getByLabel('Good answer').click()
      await good.getByText('thank you').waitFor()
      assert.equal(await good.getByLabel('Good answer').getAttribute('aria-pressed'), 'true')
      assert.equal(await good.getByLabel('Correction').isVisible(), false)

      const again = await ask('How much ibuprofen may an adult take in a day?', 2)
      const [, percent] = /(\d+) % expected right/.exec(await again.innerText()) ?? []
      assert.ok(Number(percent) < 50, await again.innerText())
      if (SCREENSHOT !== undefined) await page.screenshot({ path: SCREENSHOT })

      await page.setViewportSize({ width: 360, height: 700 })
      assert.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'fits a phone')
      assert.deepEqual(faults, [])
    } finally {
      await browser.close()
    }
  })
})
