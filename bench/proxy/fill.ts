/** Fills a sidecar's database with live packets of many peers, as a busy swarm would. */
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { createStaticEmbedder } from '../../embeddings/static.ts'
import { BUILT_IN_SPACE } from '../../embeddings/table.ts'
import { dotTable, encode, project } from '../../router/fingerprint.ts'
import { routingKey } from '../../router/keyspace.ts'
import { expiresAt, floorToHour, type Packet, sealPacket } from '../../router/packet.ts'
import { loadSpace } from '../../router/space.ts'
import { openDatabase, type Statement } from '../../router/store/database.ts'
import { routerSchema } from '../../router/store/sqlite.ts'
import type { MakeQuestion } from './questions.ts'

const BATCH = 1_000

/** @param peers how many keys sign */
export async function fill(dataDir: string, packets: number, peers: number, question: MakeQuestion): Promise<void> {
  const space = await loadSpace(join(import.meta.dirname, '../../embeddings/spaces', BUILT_IN_SPACE))
  const embedder = createStaticEmbedder()
  const keys = await Promise.all(Array.from({ length: peers }, () => generateKeyPair('Ed25519')))
  await using database = await openDatabase({ file: join(dataDir, 'qis.db'), schemas: [routerSchema] })
  const now = floorToHour(Date.now() / 1000)
  for (let first = 0; first < packets; first += BATCH) {
    const statements: Statement[] = []
    for (let index = first; index < Math.min(packets, first + BATCH); index++) {
      const [vector] = await embedder.embed([question(index, 60 + (index % 140))])
      const key = keys[index % keys.length]
      if (!vector || !key) continue
      const packet: Packet = {
        space: space.id,
        domain: 'general',
        code: encode(space, dotTable(space, project(space, vector))),
        signal: index % 3 === 0 ? 0 : 1,
        model: index % 2 === 0 ? 'm' : 'other',
        observer: 'h',
        intervention: 0,
        answer: index.toString(16).padStart(16, '0'),
        revision: 0,
        withdrawn: false,
        time: now - (index % 100) * 3600,
        ttlHours: 168,
      }
      const bytes = await sealPacket(packet, key)
      const route = routingKey(space.id, packet.domain, Number.parseInt(packet.code.slice(0, 2), 16))
      statements.push({
        sql: 'INSERT INTO packets (author, answer, revision, key, time, expires, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)',
        params: [key.publicKey.toString(), packet.answer, 0, route, packet.time, expiresAt(packet), bytes],
      })
    }
    await database.write(statements)
  }
}
