"""ARAE for style transfer: a decoder for each class, and latents independent of it (Zhao et al. 2018, section 4)."""

# mypy cannot infer the types of the entries of `RECIPES`.
# mypy: disable-error-code="index, dict-item"

from typing import Annotated

import keras
import numpy as np
import tensorflow as tf

from acai_tf import replicas
from acai_tf.experiment.config import Training
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.fields import config_dataclass
from acai_tf.models import base
from acai_tf.models.sentences import arae
from acai_tf.networks import codes as code_networks
from acai_tf.networks import dense, recurrent


@config_dataclass('model')
class Config(arae.Config):
  """The settings of `arae`, with the paper's values for Yelp, and those of the classifier of latents.

  The classifier's learning rate is the training's `classifier_learning_rate`.
  """

  noise: Annotated[float, '[0, inf)'] = 0.1  # this setting and the next four are those of `arae`
  z: Annotated[int, '[1, inf)'] = 32
  units: Annotated[int, '[1, inf)'] = 128
  penalty: Annotated[float, '[0, inf)'] = 0.1
  lambda_: Annotated[float, '[0, inf)'] = 0.01  # 0: neither generator nor critic
  lambda_class: Annotated[float, '[0, inf)'] = 1.0  # weight of fooling the classifier, scheduled like `lambda_`
  classifier_units: Annotated[int, '[1, inf)'] = 128  # width of each of the classifier's hidden layers
  # True: the updates of the authors' program, each on sentences of one class. False: one update on all sentences of a
  # batch, with equal weights of both classes.
  by_class: bool = True

  @property
  def batch_multiple(self) -> int:
    """What the batch size must be a multiple of."""
    return 2 if self.by_class else 1

  RECIPES = {
      'paper': {'network': {'embedding': 128, 'hidden': 128, 'latent': 128},
                # 25 epochs of the smaller class, 176,787 sentences in batches of 64, and as many of the other one.
                'training': {**arae.Config.RECIPES['paper']['training'], 'samples': 8_838_400, 'batch': 128}},
      # The paper's initialization: with 'wide' much less content is kept at equal transfer (docs/results.md).
      'fast': {'network': {'start': 'uniform'},
               'model': {**arae.Config.RECIPES['fast']['model'], 'noise': 0.075, 'lambda_': 0.0, 'by_class': False},
               'training': {**arae.Config.RECIPES['fast']['training'], 'samples': 640_000, 'evaluate_every': 64_000,
                            'checkpoint_every': 64_000}}}

  def __post_init__(self):
    super().__post_init__()
    for key in ('joint', 'queue'):
      if self.by_class and getattr(self, key):
        raise ValueError(f'model.by_class has a step of its own for each loss, and codes drawn for each; expected no '
                         f'model.{key} beside it, or model.by_class=false.')

  def check_devices(self, batch, devices) -> None:
    """Raises UserError if several devices cannot share the batch by class, or the queue."""
    if self.lambda_:
      super().check_devices(batch, devices)
    unit = 4 * devices
    if self.by_class and devices > 1 and batch % unit:
      raise UserError(f'training.batch={batch} cannot be shared by class by {devices} devices; expected a multiple of '
                      f'{unit}, such as {-(-batch // unit) * unit}.')


def balanced(values, labels) -> tf.Tensor:
  """Mean over classes 0 and 1 of the mean of the class's [n] values, over the global batch; `labels`: [n] ints."""
  first, second = (replicas.mean(values, tf.cast(tf.equal(labels, label), values.dtype)) for label in (0, 1))
  return (first + second) / 2


ORDER = (1, 0)  # the order of the classes' updates with `by_class`; the authors' file names call them 1 and 2


class Model(arae.Model):
  """As `arae`, with decoders p_0, p_1 of two classes y and a classifier C; BCE(l, t): cross-entropy of a logit.

      autoencoder: L_rec(y) = -log p_y(x | f(x) + noise) per word
      classifier:  L_C(y) = BCE(C(f(x)), y)
      encoder:     min lambda_class L_E(y), L_E(y) = BCE(C(f(x)), 1 - y), and lambda mean D(f(x)) as `arae`

  With `by_class` an iteration is that of the authors' program (yelp/train.py). It has these updates: two for L_rec, of
  class 1 and of class 0; two of the classifier and two for L_E, in the same order; `critic_steps` of the critic, on
  latents of class 1, 0, 1, ...; one of the generator; and one of the encoder against the critic, on class 1. A batch
  has equally many sentences of both classes, and each update uses one half. Each loss of the autoencoder has its own
  update, whose gradient is clipped separately. Two differences remain: their noise restarts its decay in each epoch,
  and all sentences of one of their batches have the same length.

  Without `by_class` there is one update for all losses of the autoencoder, means over both classes, and one of the
  classifier. Both classes have the same weight, whatever their share of the text.

  A sentence is transferred by decoding its latent with the decoder of the other class.

  Raises:
    UserError: the labels do not have exactly two classes.
  """

  def create_decoders(self, seeds) -> None:
    if self.classes != 2:
      raise UserError(f'the data has {self.classes or "no"} classes; expected two, between which sentences are '
                      'transferred (dataset.path=FILE0,FILE1).')
    network = self.network

    def decoder(name, output=None):
      return recurrent.Decoder(
          self.ids, network.embedding, network.hidden, network.latent, seeds, output, network.start == 'wide', name)

    self.decoder = decoder('decoder_0')
    self.decoder_1 = decoder('decoder_1', self.decoder.output_layer)

  def create_networks(self) -> None:
    self.has_prior = self.config.lambda_ > 0
    super().create_networks()
    self.by_class = self.config.by_class
    self.classifier = code_networks.classifier(
        self.network.latent, self.config.classifier_units, dense.seeds(self.seed, 'classifier'),
        self.config.networks == 'paper')

  def players(self) -> dict[str, list]:
    players = super().players() if self.has_prior else {}
    return {**players, 'autoencoder': [self.encoder, self.decoder, self.decoder_1], 'classifier': [self.classifier]}

  def training_of(self, player, training) -> Training:
    if player == 'classifier':
      return training.of_player(2 if self.config.by_class else 1, optimizer='adam', beta_1=0.5)
    if player == 'autoencoder':
      return training.of_player(4 + self.has_prior if self.config.by_class else
                                1 + (self.has_prior and not self.config.joint))
    return super().training_of(player, training)

  def test_step(self, data) -> dict:
    """As in `text_base`; each sentence is decoded by the decoder of its class."""
    self.check_batch(data)
    ids, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
    if labels is None:
      raise ValueError('there are no labels; expected (ids, labels), since each class has a decoder.')
    codes, scores = self.encode(ids), []
    for label, decoder in enumerate((self.decoder, self.decoder_1)):
      rows = tf.where(tf.equal(labels, label))[:, 0]
      scores.append(self.word_scores(tf.gather(ids, rows), tf.gather(codes, rows), decoder))
    entropy, hits = (tf.concat(column, 0) for column in zip(*scores, strict=True))
    return self.means({'recon_loss': replicas.mean(entropy), 'token_accuracy': replicas.mean(hits)}, data)

  def mean_of_classes(self, ids, labels, codes) -> list:
    """Reconstruction of sentences by the decoders of their classes: mean over the classes of [loss, accuracy]."""
    results = []
    for label, decoder in enumerate((self.decoder, self.decoder_1)):
      rows = tf.where(tf.equal(labels, label))[:, 0]
      results.append(self.reconstruction(tf.gather(ids, rows), tf.gather(codes, rows), decoder))
    return [(first + second) / 2 for first, second in zip(*results, strict=True)]

  def classification(self, codes, labels, truth=True) -> tuple:
    """Mean over the classes of BCE(C(codes), y), or with `truth` False of BCE(C(codes), 1 - y)."""
    logits = tf.squeeze(self.classifier(codes, training=True), 1)
    targets = tf.cast(labels if truth else 1 - labels, tf.float32)
    return balanced(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), labels), logits

  def iteration(self, data) -> dict:
    ids, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
    if labels is None:
      raise ValueError('there are no labels; expected (ids, labels), since each class has a decoder.')
    return (self.steps_by_class if self.config.by_class else self.joint_steps)((ids, labels))

  def halves(self, ids, labels) -> tuple:
    """[n, longest + 1] ids -> (those of class 0, those of class 1), [n / 2, longest + 1] each."""
    order = tf.argsort(labels, stable=True)
    half = (ids.shape[0] or tf.shape(ids)[0]) // 2
    with tf.control_dependencies([tf.debugging.assert_equal(
        tf.gather(labels, order), tf.repeat([0, 1], half), 'expected as many sentences of one class as of the other')]):
      first, second = tf.split(tf.gather(ids, order), 2)
    return first, second

  def steps_by_class(self, data) -> dict:
    """An iteration with the updates of the authors' program."""
    settings, weight, decoders = self.config, self.adversarial_factor(), (self.decoder, self.decoder_1)
    batch, *others = (self.halves(*part) for part in zip(
        *(self.split_batch(column) for column in data), strict=True))
    by_label: dict[str, list] = {name: [] for name in ('recon_loss', 'token_accuracy', 'class_loss', 'class_accuracy')}
    for label in ORDER:
      with tf.GradientTape(persistent=True) as tape:
        loss, accuracy = self.reconstruction(
            batch[label], self.add_noise(self.encode(batch[label]), 300 + label), decoders[label])
        self.minimize(tape, {'autoencoder': loss})
      by_label['recon_loss'].append(loss)
      by_label['token_accuracy'].append(accuracy)
    for label in ORDER:
      with tf.GradientTape(persistent=True) as tape:
        loss, logits = self.class_entropy(tf.stop_gradient(self.encode(batch[label])), label)
        self.minimize(tape, {'classifier': loss})
      by_label['class_loss'].append(loss)
      by_label['class_accuracy'].append(tf.reduce_mean(tf.cast(tf.equal(logits > 0, label > 0), tf.float32)))
    for label in ORDER:
      with tf.GradientTape(persistent=True) as tape:
        loss, _ = self.class_entropy(self.encode(batch[label]), 1 - label)
        self.minimize(tape, {'autoencoder': settings.lambda_class * weight * loss})
    logs = {**{name: (first + second) / 2 for name, (first, second) in by_label.items()},
            **self.code_spread(self.encode(tf.concat(batch, 0))), 'weight': weight}
    if not self.has_prior:
      return logs
    count = batch[0].shape[0] or tf.shape(batch[0])[0]
    for k, fake in enumerate(self.fakes(count)):
      real = self.encode(others[k][ORDER[k % 2]])
      logs['critic_loss'], logs['wasserstein'] = self.critic_step(real, tf.stop_gradient(fake), k)
    logs.update(self.generator_step(count))
    with tf.GradientTape(persistent=True) as tape:
      fool_loss = tf.reduce_mean(self.critic(self.encode(others[-1][ORDER[0]]), training=True))
      self.minimize(tape, {'autoencoder': settings.lambda_ * weight * fool_loss})
    return {**logs, 'lambda': settings.lambda_ * weight}

  def class_entropy(self, codes, label) -> tuple:
    """(Mean BCE(C(codes), label) of [n, latent] latents with one label for all, the [n] logits)."""
    logits = tf.squeeze(self.classifier(codes, training=True), 1)
    targets = tf.fill(tf.shape(logits), float(label))
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)), logits

  def joint_steps(self, data) -> dict:
    """An iteration with joint updates on batches of both classes."""
    settings = self.config
    ids, *others = self.split_batch(data[0])
    labels = data[1][:ids.shape[0] or tf.shape(ids)[0]]
    weight = self.adversarial_factor()
    with tf.GradientTape(persistent=True) as tape:
      codes = self.encode(ids)
      recon_loss, accuracy = self.mean_of_classes(ids, labels, self.add_noise(codes))
      class_loss, logits = self.classification(tf.stop_gradient(codes), labels)
      fool_class, _ = self.classification(codes, labels, truth=False)
      loss = recon_loss + settings.lambda_class * weight * fool_class
      if settings.joint and self.has_prior:
        loss += settings.lambda_ * weight * tf.reduce_mean(self.critic(codes, training=True))
      self.minimize(tape, {'autoencoder': loss, 'classifier': class_loss})
    hits = tf.cast(tf.equal(logits > 0, labels > 0), tf.float32)
    logs = {'recon_loss': recon_loss, 'token_accuracy': accuracy, **self.code_spread(codes), 'class_loss': class_loss,
            'class_accuracy': balanced(hits, labels), 'weight': weight}
    return {**logs, **self.adversaries(ids, codes, others)} if self.has_prior else logs

  def decode(self, codes, to=None) -> tf.Tensor:
    """[n, latent] latents -> [n, longest + 1] ids, by the decoders of the classes `to`, [n] ints, 0 or 1.

    Raises:
      ValueError: `to` is missing, or the latents have another shape.
    """
    if to is None:
      raise ValueError('a latent is decoded by the decoder of a class; expected decode(codes, to) with the class of '
                       'each, or transfer(texts, to).')
    codes = base.as_checked_tensor(codes, self.code_shape, 'codes')
    first, second = (decoder.greedy(codes, self.length) for decoder in (self.decoder, self.decoder_1))
    return tf.where(tf.equal(to, 0)[:, None], first, second)

  def transfer(self, texts, to) -> list[str]:
    """Transfers n sentences to the classes `to`, an int for each or one for all, 0 or 1.

    Raises:
      ValueError: `texts` is not a list of strings, or `to` has other values or another length.
    """
    codes = self.represent(texts)
    classes = np.asarray(to)
    if classes.dtype.kind not in 'iu' or classes.shape not in ((), (len(codes),)) or not np.isin(classes, (0, 1)).all():
      raise ValueError(f'to is {to!r}; expected 0 or 1, or a list of them, one for each of the {len(codes)} texts.')
    return self.vocabulary.decode(self.decode(codes, np.broadcast_to(classes, len(codes))).numpy())

  def callables(self) -> list[base.Callable]:
    vocabulary, kept = self.vocabulary, (self.vocabulary.layer,)
    text, classes = tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.int32)

    def transfer(texts, to, training=False):
      del training
      return vocabulary.join(self.decode(self.encode(vocabulary.encode(texts)), to))

    def decode(codes, to, training=False):
      del training
      return vocabulary.join(self.decode(codes, to))

    codes = tf.TensorSpec([None, self.network.latent], tf.float32)
    inherited = [c for c in super().callables() if c.name in ('features', 'encoder')]
    return [*inherited, base.Callable('transfer', transfer, {'texts': text, 'to': classes},
                                  'sentences transferred to the classes `to`, 0 or 1', 'texts', kept),
            base.Callable('class_decoder', decode, {'codes': codes, 'to': classes},
                          'sentences decoded from codes by the decoders of the classes `to`, 0 or 1', 'texts')]
