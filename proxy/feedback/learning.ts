/** Tells the router what stands of an answer; what it knows already changes nothing there. */
import { mayReplace } from '../../router/outcome.ts'
import type { Report, Router } from '../../router/router.ts'
import type { Turn } from './group.ts'
import { OBSERVER, signalOf } from './opinion.ts'
import type { StoredFeedback } from './store.ts'

type Verdict = Pick<Report, 'signal' | 'observer' | 'correction'>

/** Resolves when it is durable there. */
export async function teach(router: Pick<Router, 'learn' | 'withdraw'>, { requestId, old, next }: Turn): Promise<void> {
  const was = old && verdictOf(old)
  const is = next && verdictOf(next)
  // The router lets nobody outdo a stronger observer, so what that one said has to go first.
  const yields = was && is && !mayReplace(was.observer, is.observer)
  if (!is || !next?.answer || yields) await router.withdraw(requestId)
  if (!is || !next?.answer) return
  const { code, domain, model, intervention, strategy, confidence, expected } = next.answer
  await router.learn({
    requestId,
    code,
    domain,
    model,
    intervention,
    expected,
    ...(strategy !== undefined && { strategy }),
    ...(confidence !== undefined && { confidence }),
    ...is,
  })
}

function verdictOf({ said, source }: StoredFeedback): Verdict | undefined {
  const signal = signalOf(said)
  if (signal === undefined) return undefined
  return { signal, observer: OBSERVER[source], ...(said.correction && { correction: said.correction.type }) }
}
