// A forward server that is not ours: the receiver of the OpenTelemetry collector. Prints what comes in as lines of JSON.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/fluentforwardreceiver"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

func main() {
	sink, err := consumer.NewLogs(show)
	if err != nil {
		log.Fatal(err)
	}
	factory := fluentforwardreceiver.NewFactory()
	config := factory.CreateDefaultConfig().(*fluentforwardreceiver.Config)
	config.ListenAddress = os.Args[1]
	settings := receivertest.NewNopSettings(factory.Type())
	receiver, err := factory.CreateLogs(context.Background(), settings, config, sink)
	if err != nil {
		log.Fatal(err)
	}
	if err := receiver.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		log.Fatal(err)
	}
	select {}
}

func show(_ context.Context, logs plog.Logs) error {
	out := json.NewEncoder(os.Stdout)
	for _, resource := range logs.ResourceLogs().All() {
		for _, scope := range resource.ScopeLogs().All() {
			for _, record := range scope.LogRecords().All() {
				err := out.Encode(map[string]any{
					"time":       record.Timestamp(),
					"body":       record.Body().AsRaw(),
					"attributes": record.Attributes().AsRaw(),
				})
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}
