/** A crash may come between what the router has learnt and the feedback that is kept; what is said next must hold. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { answering, ask, outcomes, taken } from '../support/asking.ts'
import { postFeedback, startTestSidecar, type TestSidecar } from '../support/sidecar.ts'

/** What the router knows, when the crash came before the feedback itself was written. */
async function learnBeforeTheCrash(site: TestSidecar, requestId: string, signal: number): Promise<void> {
  const { code } = (await outcomes(site))[0] as { code: string }
  const { router } = site.sidecar
  await router.learn({ requestId, code, domain: 'general', model: 'm', intervention: 0, observer: 'h', signal })
}

suite('after a crash in the middle of a feedback', () => {
  test('the rating that stood before may be given again, and stands', async () => {
    await using upstream = await answering()
    await using site = await startTestSidecar(upstream.url)
    const { requestId, receipt } = await ask(site)
    await taken(await postFeedback(site.data, { receipt, rating: 'up' }))
    await learnBeforeTheCrash(site, requestId, 0)
    assert.equal((await outcomes(site))[0]?.signal, 0)
    assert.equal((await taken(await postFeedback(site.data, { receipt, rating: 'up' }))).status, 'duplicate')
    assert.equal((await outcomes(site))[0]?.signal, 1)
  })

  test('what was taken back may be taken back again, and stays away', async () => {
    await using upstream = await answering()
    await using site = await startTestSidecar(upstream.url)
    const { requestId, receipt } = await ask(site)
    for (const rating of ['up', null]) await taken(await postFeedback(site.data, { receipt, rating }))
    await learnBeforeTheCrash(site, requestId, 1)
    assert.equal((await outcomes(site))[0]?.withdrawn, false)
    await taken(await postFeedback(site.data, { receipt, rating: null }))
    assert.equal((await outcomes(site))[0]?.withdrawn, true)
  })

  test('a duplicate without a crash changes nothing', async () => {
    await using upstream = await answering()
    await using site = await startTestSidecar(upstream.url)
    const { receipt } = await ask(site)
    for (let time = 0; time < 3; time++) await taken(await postFeedback(site.data, { receipt, rating: 'up' }))
    assert.equal((await outcomes(site))[0]?.revision, 0)
  })
})
