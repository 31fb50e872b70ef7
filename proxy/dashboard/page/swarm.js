/** The swarm: who is there, what comes and goes, what is turned away and what stays. */
import { createChart } from './charts.js'
import { ago, byId, count, make, shortId, table, tile, whole } from './dom.js'

const REFUSED = {
  expired: 'had expired',
  from_future: 'were dated in the future',
  other_space: 'were of another fingerprint space',
  wrong_key: 'came under the wrong topic',
  not_member: 'were signed by a site that is no member',
  store_failed: 'could not be kept',
  oversize: 'were too large',
  malformed: 'could not be read',
  not_canonical: 'were not in their one true form',
  bad_signature: 'had a false signature',
}
const KEPT = {
  rare: 'stayed here: too few reference questions are like theirs',
  domain: 'stayed here: their domain is not shared',
  guess: 'stayed here: a rule guessed them, and its packet would tell in clear what noise is to hide',
  settings: 'stayed here: the settings became stricter before they left',
}
const STANDING = {
  proven: 'proven: agrees with what was seen here',
  unproven: 'not proven yet',
  distrusted: 'found out: not listened to',
}
const SHOWN = 20

export function createSwarm() {
  const packets = createChart(byId('chart-packets'), {
    title: 'Packets a minute',
    series: [
      { label: 'In', colour: '--mark', fill: '--mark-faint' },
      { label: 'Out', colour: '--good', dash: [6, 4] },
    ],
    say: value => (value === 0 ? '0' : String(Number(value.toPrecision(2)))),
  })

  return {
    show(status, past) {
      const { received, sent, withheld, deferred } = past.counts
      byId('swarm-tiles').replaceChildren(
        tile('Peers', whole(status.peers.length), networkIs(status)),
        tile('Kinds of question', whole(status.keys), 'that packets are received of'),
        tile('Packets in', whole(received.accepted ?? 0), 'accepted since the start'),
        tile('Packets out', whole(sent.taken ?? 0), 'taken by a peer since the start'),
        tile('Outcomes in memory', whole(status.evidence), 'own and of peers'),
      )
      const perMinute = name => past.rates(name).map(value => (value === null ? null : 60 * value))
      packets.show(past.times, [perMinute('packets_in'), perMinute('packets_out')], past.span)
      const lines = [
        ...tell(received, REFUSED, 'packet', 'packets'),
        ...tell(withheld, KEPT, 'outcome', 'outcomes'),
        ...(deferred > 0
          ? [`${count(deferred, 'time')} a packet waited, since its kind of question had sent enough for a day`]
          : []),
        ...(sent.nobody > 0
          ? [`${count(sent.nobody, 'time')} nobody was there to take a packet; it is tried again`]
          : []),
      ]
      byId('refusals').replaceChildren(
        ...(lines.length > 0 ? lines : ['Nothing since the start.']).map(line => make('li', {}, line)),
      )
    },
    showPeers({ total, peers }) {
      const rows = peers.slice(0, SHOWN).map(({ id, addresses, since, handed, packets: held, standing }) => {
        const refused = Object.entries(handed.refused).reduce(
          (sum, [reason, n]) => sum + (reason === 'known' ? 0 : n),
          0,
        )
        return [
          make('code', { title: id }, shortId(id)),
          since === undefined
            ? 'not connected'
            : `for ${ago(since).replace(/ ago$/, '')}, ${(addresses[0] ?? '').replace(/\/p2p\/[^/]*$/, '')}`,
          `${whole(handed.accepted)} taken${refused > 0 ? `, ${whole(refused)} refused` : ''}`,
          whole(held),
          STANDING[standing] ?? standing,
        ]
      })
      /** @type {[title: string, isNumber?: boolean][]} */
      const columns = [['Peer'], ['Connected'], ['Handed over'], ['Still counts', true], ['Believed']]
      byId('peers').replaceChildren(
        ...(rows.length > 0
          ? [table(columns, rows, 'Peers')]
          : [make('p', { class: 'note' }, 'No peer is known yet. QIS_BOOTSTRAP names one to start from.')]),
        ...(total > SHOWN
          ? [make('p', { class: 'note' }, `and ${count(total - SHOWN, 'other')}; all are at /qis/peers`)]
          : []),
      )
    },
  }
}

function tell(counts, words, one, many) {
  return Object.entries(words)
    .filter(([reason]) => counts[reason] > 0)
    .map(([reason, said]) => `${count(counts[reason], one, many)} ${said}`)
}

function networkIs({ networkUp, outage }) {
  if (networkUp) return 'connected now'
  return outage ? 'the network is down, and tried again' : 'the network is off'
}
