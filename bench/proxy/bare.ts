/** The least that @fastify/reply-from can be: the floor on which our own cost is measured. */
import replyFrom from '@fastify/reply-from'
import Fastify, { LogController } from 'fastify'

const app = Fastify({ logController: new LogController({ disableRequestLogging: true }) })
app.removeAllContentTypeParsers()
app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
await app.register(replyFrom, { base: process.argv[2] ?? '', disableRequestLogging: true })
app.all('/*', (_request, reply) => reply.from())
console.log(await app.listen({ host: '127.0.0.1', port: 0 }))
