/**
 * What a node remembers of peers and of who provides what, in bounded memory. libp2p's own store grows with every peer
 * it ever met, and scans all of it for each DHT request.
 */
import { NotFoundError } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { BaseDatastore } from 'datastore-core'
import { Key, type Pair, type Query } from 'interface-datastore'

export interface BoundedDatastoreOptions {
  /** Records of peers and all else but providers; default 5,000. */
  maxRecords?: number
  /** Keys of which providers are known; default 4,096. */
  maxKeys?: number
  /** Providers known for one key; default 64. */
  maxProvidersPerKey?: number
}

/** A peer that announces ever more addresses gets no larger record than this. */
const MAX_VALUE_BYTES = 16_384
/** `/dht/provider/<key>/<peer>`, as kad-dht writes it. */
const PROVIDER = /^\/dht\/provider\/([^/]+)(?:\/([^/]+))?$/

export class BoundedDatastore extends BaseDatastore {
  readonly #records: Recent<Uint8Array>
  readonly #providers: Recent<Recent<Uint8Array>>
  readonly #maxProvidersPerKey: number

  constructor(options: BoundedDatastoreOptions = {}) {
    super()
    this.#records = new Recent(options.maxRecords ?? 5_000)
    this.#providers = new Recent(options.maxKeys ?? 4_096)
    this.#maxProvidersPerKey = options.maxProvidersPerKey ?? 64
  }

  override put(key: Key, bytes: Uint8Array): Key {
    if (bytes.byteLength > MAX_VALUE_BYTES) throw new RangeError(`a record of ${bytes.byteLength} bytes`)
    // a few bytes cut from a pooled buffer would keep all of it in memory
    const value = new Uint8Array(bytes)
    const [, provided, peer] = PROVIDER.exec(key.toString()) ?? []
    if (provided === undefined || peer === undefined) {
      this.#records.put(key.toString(), value)
    } else {
      const providers = this.#providers.get(provided) ?? new Recent<Uint8Array>(this.#maxProvidersPerKey)
      providers.put(peer, value)
      this.#providers.put(provided, providers)
    }
    return key
  }

  override get(key: Key): Uint8Array {
    const value = this.#find(key)
    if (value === undefined) throw new NotFoundError()
    return value
  }

  override has(key: Key): boolean {
    return this.#find(key) !== undefined
  }

  override delete(key: Key): void {
    const [, provided, peer] = PROVIDER.exec(key.toString()) ?? []
    if (provided === undefined || peer === undefined) {
      this.#records.delete(key.toString())
      return
    }
    const providers = this.#providers.get(provided)
    providers?.delete(peer)
    if (providers?.size === 0) this.#providers.delete(provided)
  }

  override *_all(query: Query): Generator<Pair> {
    const provided = PROVIDER.exec(query.prefix ?? '')?.[1]
    if (provided !== undefined) {
      yield* this.#providersOf(provided)
      return
    }
    for (const [key, value] of this.#records.entries()) yield { key: new Key(key), value }
    for (const [of, providers] of this.#providers.entries()) {
      for (const [peer, value] of providers.entries()) yield { key: new Key(`/dht/provider/${of}/${peer}`), value }
    }
  }

  /**
   * Those that announced themselves last come first, as they are the likeliest to be there, and kad-dht asks for no more
   * than twenty. Leaves out those without a peer record: with one of them in its list, kad-dht answers no request for the key.
   */
  *#providersOf(provided: string): Generator<Pair> {
    for (const [peer, value] of this.#providers.get(provided)?.entries().reverse() ?? []) {
      const record = `/peers/${peerIdFromString(peer).toCID().toString()}`
      if (this.#records.get(record) !== undefined) yield { key: new Key(`/dht/provider/${provided}/${peer}`), value }
    }
  }

  #find(key: Key): Uint8Array | undefined {
    const [, provided, peer] = PROVIDER.exec(key.toString()) ?? []
    if (provided === undefined || peer === undefined) return this.#records.get(key.toString())
    return this.#providers.get(provided)?.get(peer)
  }
}

/** A map that forgets what was used longest ago. */
class Recent<Value> {
  readonly #limit: number
  readonly #values = new Map<string, Value>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#values.size
  }

  get(key: string): Value | undefined {
    const value = this.#values.get(key)
    if (value !== undefined) this.put(key, value)
    return value
  }

  put(key: string, value: Value): void {
    this.#values.delete(key)
    this.#values.set(key, value)
    if (this.#values.size <= this.#limit) return
    for (const oldest of this.#values.keys()) {
      this.#values.delete(oldest)
      return
    }
  }

  delete(key: string): void {
    this.#values.delete(key)
  }

  /** A snapshot, as reading moves entries. */
  entries(): [string, Value][] {
    return [...this.#values]
  }
}
