"""The base of all autoencoders of sentences: networks, latents on the unit sphere, paths, and the reconstruction."""

import tensorflow as tf

from acai_tf import interpolation, replicas
from acai_tf.experiment.config import TextNetwork
from acai_tf.experiment.errors import UserError
from acai_tf.models import base
from acai_tf.networks import dense, recurrent
from acai_tf.networks import words as words_lib
from acai_tf.vocabulary import Vocabulary


class TextAutoencoder(base.Model):
  """An autoencoder of sentences with latents on the unit sphere (Zhao et al. 2018, section 3).

  Inside the model, sentences are int32 ids, [n, longest + 1]; for users (`callables`) they are strings. `adapt` takes
  the vocabulary from the data set. A subclass implements `iteration`. Its Config has `noise`, `noise_decay` and
  `noise_every`: the standard deviation of the noise on latents that are decoded in training, and the factor by which it
  falls every `noise_every` steps.

  Args:
    config: the model's Config.
    network: `config.TextNetwork`.
    shape: (longest + 1, number of ids).
    classes: number of classes of the labels.
    seed: seed of the initial weights and the noise.
    precision: 'float32'.

  Raises:
    UserError: the precision is another one.
  """

  network_class = TextNetwork
  has_prior = False  # whether latents can be sampled without data

  def __init__(self, config, network, shape, classes=0, seed=0, precision='float32'):
    super().__init__(config, network, shape, classes, seed, precision)
    if precision != 'float32':
      raise UserError(f'training.precision is {precision}; expected float32, which models of sentences compute in.')
    self.length, self.ids = shape  # of an encoded sentence, and number of different ids
    self.classes = classes
    self.words = words_lib.Words(self.ids, self.length - 1)
    self.encoder = recurrent.Encoder(
        self.ids, network.embedding, network.latent, dense.seeds(seed, 'encoder'), network.start == 'wide')
    self.create_decoders(dense.seeds(seed, 'decoder'))
    self.create_networks()
    self.built = True

  def create_decoders(self, seeds) -> None:
    """Hook: creates `decoder`, or several decoders."""
    network = self.network
    self.decoder = recurrent.Decoder(
        self.ids, network.embedding, network.hidden, network.latent, seeds, wide=network.start == 'wide')

  def create_networks(self) -> None:
    """Hook: creates the further networks of a subclass."""

  def adapt(self, dataset) -> None:
    try:
      self.words.set(dataset.vocabulary)
    except ValueError as error:
      raise UserError(str(error)) from error

  @property
  def vocabulary(self) -> Vocabulary:
    """The vocabulary: words <-> ids."""
    return self.words.get()

  @property
  def code_shape(self) -> tuple:
    """(latent dimension,)."""
    return (self.network.latent,)

  # Ids and latents.

  def encode(self, ids) -> tf.Tensor:
    """[n, longest + 1] ids -> [n, latent] float32 latents of norm 1. `represent` takes sentences."""
    what = 'ids of sentences (represent takes strings)'
    return self.encoder(base.as_checked_tensor(ids, (self.length,), what, 'ints'))

  def decode(self, codes) -> tf.Tensor:
    """[n, latent] latents -> [n, longest + 1] ids by greedy decoding."""
    return self.decoder.greedy(base.as_checked_tensor(codes, self.code_shape, 'codes'), self.length)

  def call(self, ids, training=False) -> tf.Tensor:
    """Reconstructs sentences, as ids."""
    del training
    return self.decode(self.encode(ids))

  def prior_codes(self, count, seed) -> tf.Tensor:
    """Hook of models that have a prior: [count, latent] samples of it, a function of `seed`."""
    raise NotImplementedError

  def sample_codes(self, count, seed) -> tf.Tensor:
    """Hook: the latents that the sampler decodes, [count, latent]; by default `prior_codes`."""
    return self.prior_codes(count, seed)

  def mix(self, first, second, alpha) -> tf.Tensor:
    """Latents on the great circle from `first` (alpha 0) to `second` (1), [n, latent]; they have norm 1."""
    return interpolation.slerp(first, second, alpha)

  # The reconstruction.

  def add_noise(self, codes, salt=0) -> tf.Tensor:
    """Latents for the decoder in training: codes + N(0, s^2), s = noise * noise_decay^(step // noise_every)."""
    settings = self.config
    rounds = tf.cast(tf.convert_to_tensor(self.step) // settings.noise_every, tf.float32)
    deviation = settings.noise * tf.cast(settings.noise_decay, tf.float32) ** rounds
    return codes + deviation * self.normal(codes.shape[0] or tf.shape(codes)[0], codes.shape[1:], salt)

  def reconstruction(self, ids, codes, decoder=None) -> tuple[tf.Tensor, tf.Tensor]:
    """Reconstruction of [n, steps] ids from [n, latent] latents, over the words and end marks of the global batch.

    Returns:
      (Mean cross-entropy in nats per word, accuracy: share of words that have the largest logit).
    """
    entropy, hits = self.word_scores(ids, codes, decoder or self.decoder)
    return replicas.mean(entropy), replicas.mean(hits)

  def word_scores(self, ids, codes, decoder) -> tuple[tf.Tensor, tf.Tensor]:
    """As `reconstruction`, of each word: ([words] cross-entropies, [words] 1 if it has the largest logit, else 0)."""
    logits, targets, _ = decoder.targets(ids, codes)
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    return entropy, tf.cast(tf.equal(tf.argmax(logits, 1, tf.int32), targets), tf.float32)

  def check_inputs(self, inputs, labels) -> None:
    base.check_fit(inputs, (self.length,), 'ids of sentences', 'ints')

  def check_values(self, inputs, labels) -> None:
    if inputs.min() < 0 or inputs.max() >= self.ids:
      raise ValueError(f'ids go from {inputs.min()} to {inputs.max()}; expected 0 to {self.ids - 1}, as '
                       '`vocabulary.encode` gives them.')

  def test_step(self, data) -> dict:
    """A batch of Keras's `evaluate`: means so far of the reconstruction loss and its accuracy."""
    self.check_batch(data)
    ids = data[0] if isinstance(data, (tuple, list)) else data
    loss, accuracy = self.reconstruction(ids, self.encode(ids))
    return self.means({'recon_loss': loss, 'token_accuracy': accuracy}, data)

  # Functions for users: plain text.

  def represent(self, texts) -> tf.Tensor:
    """n sentences -> their latents, [n, latent] of norm 1. Unknown words are read as [UNK], long sentences cut."""
    try:
      texts = tf.constant(texts, tf.string)
    except (TypeError, ValueError):
      texts = None
    if texts is None or texts.shape.rank != 1 or not texts.shape[0]:
      raise ValueError('texts are not a list of strings; expected one or more sentences, such as ["a cat sleeps"].')
    return self.encode(self.vocabulary.encode(texts))

  def interpolate(self, texts_a, texts_b, alpha) -> list[str]:
    """Decodes the points at `alpha` on the great circles from a's latents (0) to b's (1).

    Args:
      texts_a, texts_b: n sentences of each.
      alpha: [n] or a scalar, in [0, 1].

    Raises:
      ValueError: the model has no interpolation, there are not equally many sentences, or `alpha` is invalid
        (`interpolation.coefficients`).
    """
    self._require('interpolator')
    first, second = self.represent(texts_a), self.represent(texts_b)
    if first.shape[0] != second.shape[0]:
      raise ValueError(f'there are {first.shape[0]} texts_a and {second.shape[0]} texts_b; expected equally many.')
    alpha = interpolation.coefficients(alpha, first.shape[0], first.dtype)
    return self.vocabulary.decode(self.decode(self.mix(first, second, alpha)).numpy())

  def sample(self, count, seed=0) -> list[str]:
    """`count` sentences decoded from samples of the prior; a function of `seed`.

    Raises:
      ValueError: the model has no prior that is decoded, or `count` is below 1.
    """
    self._require('sampler')
    codes = self.sample_codes(base.integer(count, 'count', 1), base.integer(seed, 'seed', 0))
    return self.vocabulary.decode(self.decode(codes).numpy())

  def _require(self, name):
    offered = [c.name for c in self.callables()]
    if name not in offered:
      raise ValueError(f'{self.name} has no {name}; expected a model that has one. It has {", ".join(offered)}.')

  def callables(self) -> list[base.Callable]:
    """As in `base.Model`; inputs and outputs named texts* are strings."""
    vocabulary = self.vocabulary
    text, number = tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.float32)
    codes, scalar = tf.TensorSpec([None, self.network.latent], tf.float32), tf.TensorSpec([], tf.int32)

    # tf.functions, so that an exported module stores each graph once for several callables.
    encoded = tf.function(lambda texts: self.encode(vocabulary.encode(texts)), autograph=False)
    decoded = tf.function(lambda codes: vocabulary.join(self.decode(codes)), autograph=False)

    def encode(texts, training=False):
      del training
      return encoded(texts)

    def decode(codes, training=False):
      del training
      return decoded(codes)

    def decode_sampled(codes, temperature, seed, training=False):
      del training
      seed = tf.stack([seed, 0])
      return vocabulary.join(self.decoder.sample(codes, self.length, seed, temperature))

    def interpolate(texts_a, texts_b, alpha, training=False):
      del training
      first, second = encoded(texts_a), encoded(texts_b)
      return decoded(self.mix(first, second, interpolation.pair_coefficients(alpha, first)))

    def log_probability(texts, targets, training=False):
      del training
      ids = vocabulary.encode(targets)
      logits, words, rows = self.decoder.targets(ids, encoded(texts))
      entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(words, logits)
      return -tf.math.unsorted_segment_sum(entropy, rows, tf.shape(ids)[0])

    def sample(count, seed, training=False):
      del training
      return decoded(self.sample_codes(count, seed))

    kept = (vocabulary.layer,)  # the layer's lookup table must be saved with an exported module
    pair = {'texts_a': text, 'texts_b': text, 'alpha': number}
    between = ("sentence decoded at alpha on the great circle between two sentences' codes, 0 is a's and 1 is b's",
               'texts', kept)
    callables = [
        base.Callable('features', encode, {'texts': text}, 'features of a sentence, for a probe, [n, d]', 'features',
                      kept),
        base.Callable('encoder', encode, {'texts': text}, 'code of a sentence, of norm 1, [n, d]', 'codes', kept),
        base.Callable('decoder', decode, {'codes': codes},
                      'sentence decoded from a code, the most likely word at each position', 'texts'),
        base.Callable('sampling_decoder', decode_sampled,
                      {'codes': codes, 'temperature': tf.TensorSpec([], tf.float32), 'seed': scalar},
                      'sentence decoded from a code, its words sampled from softmax(logits / temperature)', 'texts'),
        base.Callable('interpolator', interpolate, pair, *between),
        base.Callable('interpolator_spherical', interpolate, pair, *between),  # the name that models of images have
        base.Callable('log_probability', log_probability, {'texts': text, 'targets': text},
                      'log probability in nats of `targets`, words and end mark, given the codes of `texts`, [n]',
                      'log_probabilities', kept)]
    if self.has_prior:
      callables.append(base.Callable('sampler', sample, {'count': scalar, 'seed': scalar},
                                 'sentences decoded from samples of the prior', 'texts'))
    return callables
