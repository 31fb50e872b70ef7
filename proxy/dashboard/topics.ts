/**
 * Gives kinds of question a name that people understand. A kind is a region of the fingerprint space, and nobody's question is
 * kept to tell what is asked there; but questions of our own can be placed in it, and the kind called after those.
 */
import type { Embedder } from '../../embeddings/embedder.ts'
import type { Router } from '../../router/router.ts'

export interface Topics {
  /** What a kind is near to, nearest first; empty where nothing is. Never rejects: names are a courtesy. */
  of(cells: readonly string[]): Promise<Map<string, string[]>>
}

/** Name and a few questions of each. */
const TOPICS = `
arithmetic: What is 47 multiplied by 23? / Add 17 and 25 and divide by 6.
word problems: Anna has 12 apples and gives away a third; how many are left? / A train leaves at 9 and travels 60 km an hour. When does it arrive?
algebra: Solve x^2 + 5x + 6 = 0. / Factor the polynomial 3x^3 - 12x.
calculus: What is the derivative of sin(x) times e^x? / Integrate 1/(1+x^2) from 0 to 1.
geometry: What is the area of a circle with radius 5? / Find the angle of a triangle with sides 3, 4 and 5.
statistics: What is the standard deviation of 2, 4, 4, 5, 9? / How do I interpret a p-value of 0.03?
probability: What is the probability of rolling two sixes? / How many ways are there to choose 3 of 10?
logic puzzles: If all bloops are razzies and all razzies are lazzies, are all bloops lazzies? / Which of the three statements is a lie?
unit conversion: Convert 5 miles to kilometres. / How many grams are in 3 ounces?
dates and calendars: What day of the week is 1 January 2030? / How many days are there between 3 March and 19 May?
counting letters: How many times does the letter r occur in strawberry? / Count the vowels in this word.
spelling backwards: Spell the word lantern backwards. / Reverse the string "garden".
Roman numerals: What number is MCMXCIV? / Write 2024 in Roman numerals.
medicine doses: How much ibuprofen may an adult take per day? / What is the maximum dose of paracetamol for a child?
symptoms and diagnosis: I have a headache and fever for three days, what could it be? / What are the symptoms of diabetes?
drug interactions: Can I take aspirin together with warfarin? / Which medicines interact with grapefruit?
surgery and treatment: How is appendicitis treated? / What is the recovery time after knee replacement?
cancer care: What are the treatment options for stage II breast cancer? / What are side effects of chemotherapy?
mental health: How can I cope with anxiety before an exam? / What are signs of depression?
nutrition: How many calories are in an avocado? / Is a vegan diet healthy for children?
fitness: What is a good workout for beginners? / How many push-ups should I do a day?
pregnancy and children: Which foods should be avoided during pregnancy? / When do babies start to walk?
first aid: What should I do for a burn? / How do I perform CPR?
anatomy: What does the liver do? / How many bones are in the human body?
biology: How does photosynthesis work? / What is the function of mitochondria?
genetics: What is the difference between DNA and RNA? / How is eye colour inherited?
animals: How long do elephants live? / What do penguins eat?
plants and gardening: When should I prune roses? / Why are my tomato leaves turning yellow?
chemistry: Balance the equation H2 + O2 -> H2O. / What is the pH of vinegar?
physics: What is the speed of light? / How much force is needed to accelerate 10 kg at 2 m/s^2?
astronomy: How far is the Moon from the Earth? / Why is Pluto not a planet?
weather and climate: What causes hurricanes? / Will it rain tomorrow?
environment: How can I reduce my carbon footprint? / What is the greenhouse effect?
capitals and countries: What is the capital of France? / Which country has the largest population?
geography: What is the longest river in the world? / Which mountains separate France and Spain?
history: In which year was the battle of Hastings? / Why did the Roman Empire fall?
world wars: When did the Second World War end? / Who was the general at Stalingrad?
politics: Who is the president of the United States? / How does a bill become a law?
law: Can my landlord evict me without notice? / What is the statute of limitations for fraud?
contracts: What does this clause in the contract mean? / Draft a non-disclosure agreement.
taxes: How do I file my income tax? / Which expenses are deductible for the self-employed?
accounting: How do I record depreciation? / What is the difference between revenue and profit?
investing: Should I buy stocks or bonds? / What is an index fund?
bank accounts: How do I transfer money to another account? / What is my account balance?
cards and payments: My card was declined. / I want to dispute a charge on my credit card.
loans and mortgages: What interest rate will I get on a mortgage? / How can I pay off my loan early?
insurance: Does my insurance cover water damage? / How do I make a claim?
economics: What is inflation? / How does a central bank set interest rates?
business plans: Write a business plan for a coffee shop. / How do I find investors for my start-up?
marketing: Write a slogan for a new toothpaste. / How can I get more followers?
sales and customers: How do I deal with an angry customer? / Write a follow-up e-mail to a client.
orders and returns: Where is my order? / I want to return a pair of shoes.
job applications: Write a cover letter for a nurse. / How do I answer the question about my weaknesses?
management: How do I give feedback to an employee? / What is agile project management?
Python code: Write a Python function that reverses a list. / Why does this Python code raise a KeyError?
JavaScript code: How do I debounce a function in JavaScript? / Fix this React component.
C and C++ code: What is a pointer in C? / Why does this C++ program leak memory?
SQL and databases: Write an SQL query that joins two tables. / How do I add an index to a PostgreSQL table?
shell and Linux: How do I list all files larger than 1 GB in bash? / What does chmod 755 do?
algorithms: Implement quicksort and explain its complexity. / Find the shortest path in a graph.
debugging: Explain this error message: undefined is not a function. / My program crashes with a segmentation fault.
web pages: Write HTML and CSS for a navigation bar. / How do I centre a div?
regular expressions: Write a regular expression for e-mail addresses. / What does ^\\d{3}$ match?
machine learning: What is overfitting? / Train a neural network with PyTorch.
spreadsheets: Write an Excel formula that sums by month. / How do I make a pivot table?
computers and phones: My laptop does not turn on. / How do I back up my phone?
networks and security: How do I set up a VPN? / What is phishing?
JSON and extraction: Extract the names and dates from this text as JSON. / Convert this table to CSV.
summaries: Summarise the following article in three sentences. / What are the main points of this text?
translation: Translate this sentence into German. / What does bonjour mean?
grammar: Correct the grammar of this sentence. / When do I use whom?
word meanings: What does the word ubiquitous mean? / Give a synonym of happy.
rewriting: Rewrite this paragraph in a formal tone. / Make this text shorter.
e-mails and letters: Write an e-mail to my boss asking for a day off. / Write a letter of complaint.
essays: Write an essay about climate change. / Give me arguments for and against school uniforms.
stories: Write a short story about a dragon. / Continue this story.
poems and songs: Write a poem about autumn. / Write a song in the style of the Beatles.
jokes: Tell me a joke. / Write a funny caption for this picture.
role play: Pretend you are a pirate. / Act as an interviewer.
sentiment: Is this review positive or negative? / Classify the sentiment of this tweet.
literature: Who wrote Pride and Prejudice? / What is the theme of Hamlet?
films and television: Who directed The Godfather? / In which year did Friends end?
music: Who composed the Moonlight Sonata? / Which band sang Hotel California?
art: Who painted the Mona Lisa? / What is impressionism?
sports: Who won the World Cup in 2014? / How many players are in a basketball team?
games: What is the best opening in chess? / How do I defeat the final boss?
cooking: How do I make pancakes? / What can I cook with chicken and rice?
drinks: How do I make a mojito? / Which wine goes with fish?
travel: What should I see in Rome in two days? / Do I need a visa for Japan?
flights and hotels: Book a flight from Boston to Denver. / Cancel my hotel reservation.
transport and cars: How often should I change the oil of my car? / When does the next train leave?
home and repair: How do I fix a leaking tap? / How do I remove a stain from a carpet?
shopping: Which laptop should I buy? / Compare these two phones.
fashion: What should I wear to a wedding? / How do I clean leather shoes?
relationships: How do I tell my friend that I am angry? / Should I text my ex?
parenting: How do I get my child to sleep? / My teenager does not talk to me.
learning and school: How do I study for an exam? / Make a lesson plan about fractions.
philosophy: What is the meaning of life? / Explain Kant's categorical imperative.
religion: What do Muslims believe? / What is the story of Noah?
ethics: Is it wrong to lie to protect a friend? / Should animals have rights?
alarms and reminders: Set an alarm for seven. / Remind me to call my mother.
smart home: Turn on the lights in the kitchen. / Set the thermostat to 20 degrees.
small talk: Hello, how are you? / What is your name?
multiple choice: Which of the following is correct? A) iron B) gold C) water D) air. / Answer with the letter of the option only.
true or false: Is it true that bats are blind? Answer true or false. / Does the premise entail the hypothesis?
`
/** A topic names the cells its questions fall into, and those nearest to them. */
const REACH = 4
const MAX_NAMES = 2
const DEADLINE_MS = 10_000
/** In between, requests get their turn. */
const BATCH = 16

export function createTopics({
  embedder,
  router,
}: {
  embedder: Pick<Embedder, 'embed'>
  router: Pick<Router, 'around'>
}): Topics {
  let placed: Promise<Map<string, string[]>> | undefined

  async function place(): Promise<Map<string, string[]>> {
    const questions = TOPICS.trim()
      .split('\n')
      .flatMap(line => {
        const [name = '', examples = ''] = line.split(/: (.*)/)
        return examples.split(' / ').map(text => ({ name, text }))
      })
    const signal = AbortSignal.timeout(DEADLINE_MS)
    const near = new Map<string, { name: string; rank: number }[]>()
    for (let at = 0; at < questions.length; at += BATCH) {
      const batch = questions.slice(at, at + BATCH)
      const vectors = await embedder.embed(
        batch.map(({ text }) => text),
        { signal },
      )
      for (const [i, { name }] of batch.entries()) {
        const vector = vectors[i]
        if (!vector) continue
        for (const [rank, cell] of router.around(vector).cells.slice(0, REACH).entries()) {
          const key = cell.toString(16).padStart(2, '0')
          near.set(key, [...(near.get(key) ?? []), { name, rank }])
        }
      }
      await new Promise(setImmediate)
    }
    return new Map(
      [...near].map(([cell, found]) => {
        const names = found.sort((a, b) => a.rank - b.rank).map(({ name }) => name)
        return [cell, [...new Set(names)].slice(0, MAX_NAMES)]
      }),
    )
  }

  return {
    async of(cells) {
      placed ??= place()
      try {
        const names = await placed
        return new Map(cells.map(cell => [cell, names.get(cell) ?? []]))
      } catch {
        // An embedder that is away now may be back when the next one looks.
        placed = undefined
        return new Map()
      }
    },
  }
}
