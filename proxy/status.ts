/** What `GET /qis/status` tells: which node this is, how it is set up, and what it has done so far. */
import type { Router } from '../router/router.ts'
import type { Config } from './config.ts'
import type { Metrics, Totals } from './metrics.ts'
import type { SwarmAccess } from './swarm-access.ts'
import type { KnownModels } from './upstream/known-models.ts'
import type { UpstreamStatus } from './upstream/upstreams.ts'
import { version } from './version.ts'

export interface Status extends ReturnType<Router['status']>, Totals {
  version: string
  /** Seconds since the process started. */
  uptimeS: number
  mode: Config['mode']
  profile: Config['profile']
  /** The one that runs, which is the built-in one where another could not be had. */
  embedder: Config['embedder']
  upstreams: UpstreamStatus[]
  /** Origins of those whose models are not known, so that no outcome of theirs leaves. */
  unlisted: string[]
  /** Whether only invited sites can join; `members` is how many may, where they are listed. */
  swarm: { closed: boolean; members?: number }
}

export interface StatusComponents {
  router: Pick<Router, 'status'>
  upstreams: { status(): UpstreamStatus[] }
  knownModels: Pick<KnownModels, 'unlisted'>
  metrics: Pick<Metrics, 'totals'>
  membership: Pick<SwarmAccess, 'current'>
  /** Only the built-in one is. */
  embedder: { readonly inline: boolean }
}

export function createStatus(
  { router, upstreams, knownModels, metrics, membership, embedder }: StatusComponents,
  config: Pick<Config, 'mode' | 'profile' | 'embedder'>,
): () => Promise<Status> {
  return async () => {
    const { swarmKey, members } = membership.current()
    return {
      version,
      uptimeS: Math.floor(process.uptime()),
      mode: config.mode,
      profile: config.profile,
      embedder: embedder.inline ? 'static' : config.embedder,
      ...router.status(),
      swarm: { closed: swarmKey !== undefined, ...(members && { members: members.length }) },
      upstreams: upstreams.status(),
      unlisted: knownModels.unlisted(),
      ...(await metrics.totals()),
    }
  }
}
