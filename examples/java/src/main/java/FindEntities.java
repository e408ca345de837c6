import static inference.GRPCInferenceServiceGrpc.newBlockingStub;

import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.protobuf.ByteString;
import inference.OpenInferenceGrpc.InferParameter;
import inference.OpenInferenceGrpc.ModelInferRequest;
import inference.OpenInferenceGrpc.ModelInferRequest.InferInputTensor;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.StatusRuntimeException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Asks a model for the entities in texts: {@code FindEntities HOST:PORT MODEL TEXT...}. */
public final class FindEntities {
  private static final long DEADLINE_S = 30;

  // gRPC tries again by itself. If the server says when, in grpc-retry-pushback-ms, it waits so long.
  private static final Map<String, ?> SERVICE_CONFIG = Map.of("methodConfig", List.of(Map.of(
      "name", List.of(Map.of("service", "inference.GRPCInferenceService")),
      "retryPolicy", Map.of(
          "maxAttempts", 5.0,
          "initialBackoff", "0.1s",
          "maxBackoff", "5s",
          "backoffMultiplier", 2.0,
          "retryableStatusCodes", List.of("UNAVAILABLE", "RESOURCE_EXHAUSTED")))));

  public static void main(String[] args) throws InterruptedException {
    if (args.length < 3) {
      System.err.println("usage: FindEntities HOST:PORT MODEL TEXT...");
      System.exit(2);
    }
    var texts = Arrays.asList(args).subList(2, args.length);
    var tensor = InferInputTensor.newBuilder()
        .setName("text").setDatatype("BYTES").addShape(texts.size());
    for (var text : texts) {
      var json = new JsonPrimitive(text).toString();
      tensor.getContentsBuilder().addBytesContents(ByteString.copyFromUtf8(json));
    }
    // With this parameter inputs and outputs are JSON, whatever the model's schemas are.
    var isJson = InferParameter.newBuilder().setBoolParam(true).build();
    var request = ModelInferRequest.newBuilder().setModelName(args[1])
        .putParameters("json", isJson).addInputs(tensor).build();

    // One channel serves all requests of a program, from all its threads.
    var channel = Grpc.newChannelBuilder(args[0], InsecureChannelCredentials.create())
        .defaultServiceConfig(SERVICE_CONFIG).build();
    try {
      var stub = newBlockingStub(channel).withDeadlineAfter(DEADLINE_S, TimeUnit.SECONDS);
      var output = stub.modelInfer(request).getOutputs(0).getContents();
      for (int row = 0; row < texts.size(); row++) {
        System.out.println(texts.get(row));
        print(JsonParser.parseString(output.getBytesContents(row).toStringUtf8()));
      }
    } catch (StatusRuntimeException error) {
      System.err.println(error.getStatus());
      System.exit(1);
    } finally {
      channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  /** Prints the entities in an output; prints anything else, such as an error, as it is. */
  private static void print(JsonElement output) {
    if (!output.isJsonArray()) {
      System.out.println("  " + output);
      return;
    }
    for (var each : output.getAsJsonArray()) {
      if (isEntity(each)) {
        var entity = each.getAsJsonObject();
        System.out.printf("  %s: %s%n",
            entity.get("category").getAsString(), entity.get("entity").getAsString());
      } else {
        System.out.println("  " + each);
      }
    }
  }

  private static boolean isEntity(JsonElement value) {
    return value.isJsonObject() && value.getAsJsonObject().keySet().containsAll(List.of("category", "entity"));
  }
}
