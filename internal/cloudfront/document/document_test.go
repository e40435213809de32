package document

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
)

// documents are the types that travel or are stored on their own.
var documents = []any{
	DistributionConfig{}, Distribution{}, DistributionList{},
	PublicKeyConfig{}, PublicKey{}, PublicKeyList{},
	KeyGroupConfig{}, KeyGroup{}, KeyGroupList{},
	OriginAccessControlConfig{}, OriginAccessControl{}, OriginAccessControlList{},
}

// fill gives every field of a document a value of its own, and every list two items.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf(" text %d <&>\n", *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 22, 12, 0, *n%60, 763e6, time.UTC)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	default:
		panic("a document with a field of kind " + v.Kind().String())
	}
}

func TestEveryFieldSurvivesXMLAndJSON(t *testing.T) {
	for _, doc := range documents {
		want := reflect.New(reflect.TypeOf(doc))
		t.Run(want.Elem().Type().Name(), func(t *testing.T) {
			n := 0
			fill(want.Elem(), &n)
			b, err := xml.Marshal(want.Interface())
			if err != nil {
				t.Fatal(err)
			}
			if root := "<" + want.Elem().Type().Name() + ">"; !strings.HasPrefix(string(b), root) {
				t.Errorf("the document begins %.40q, want %s", b, root)
			}
			got := reflect.New(want.Elem().Type())
			if err := xml.Unmarshal(b, got.Interface()); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Elem().Interface(), want.Elem().Interface()) {
				t.Errorf("XML lost something:\n got %+v\nwant %+v", got.Elem(), want.Elem())
			}
			if b, err = json.Marshal(want.Interface()); err != nil {
				t.Fatal(err)
			}
			got = reflect.New(want.Elem().Type())
			if err := json.Unmarshal(b, got.Interface()); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Elem().Interface(), want.Elem().Interface()) {
				t.Errorf("JSON lost something:\n got %+v\nwant %+v", got.Elem(), want.Elem())
			}
		})
	}
}

// The AWS SDK's types are generated from the API's model: what it has, we have, under the same name in Go,
// XML and JSON.
func TestNamesAreTheModels(t *testing.T) {
	for ours, theirs := range map[reflect.Type]reflect.Type{
		reflect.TypeFor[DistributionConfig]():        reflect.TypeFor[types.DistributionConfig](),
		reflect.TypeFor[Distribution]():              reflect.TypeFor[types.Distribution](),
		reflect.TypeFor[DistributionList]():          reflect.TypeFor[types.DistributionList](),
		reflect.TypeFor[PublicKey]():                 reflect.TypeFor[types.PublicKey](),
		reflect.TypeFor[PublicKeyList]():             reflect.TypeFor[types.PublicKeyList](),
		reflect.TypeFor[KeyGroup]():                  reflect.TypeFor[types.KeyGroup](),
		reflect.TypeFor[KeyGroupList]():              reflect.TypeFor[types.KeyGroupList](),
		reflect.TypeFor[OriginAccessControl]():       reflect.TypeFor[types.OriginAccessControl](),
		reflect.TypeFor[OriginAccessControlList]():   reflect.TypeFor[types.OriginAccessControlList](),
		reflect.TypeFor[OriginAccessControlConfig](): reflect.TypeFor[types.OriginAccessControlConfig](),
	} {
		compare(t, ours.Name(), ours, theirs)
	}
}

func compare(t *testing.T, path string, ours, theirs reflect.Type) {
	t.Helper()
	for theirs.Kind() == reflect.Pointer || theirs.Kind() == reflect.Slice {
		theirs = theirs.Elem()
	}
	for ours.Kind() == reflect.Pointer || ours.Kind() == reflect.Slice {
		ours = ours.Elem()
	}
	if ours.Kind() != reflect.Struct || ours == reflect.TypeFor[time.Time]() {
		return
	}
	known := map[string]bool{}
	for i := range theirs.NumField() {
		their := theirs.Field(i)
		if !their.IsExported() {
			continue
		}
		known[their.Name] = true
		our, ok := ours.FieldByName(their.Name)
		if !ok {
			t.Errorf("%s has no %s", path, their.Name)
			continue
		}
		element, _, _ := strings.Cut(our.Tag.Get("xml"), ",")
		if element, _, _ = strings.Cut(element, ">"); element != their.Name {
			t.Errorf("%s.%s is written as the element %q", path, their.Name, element)
		}
		if name, _, _ := strings.Cut(our.Tag.Get("json"), ","); name != their.Name {
			t.Errorf("%s.%s is written as the JSON name %q", path, their.Name, name)
		}
		compare(t, path+"."+their.Name, our.Type, their.Type)
	}
	for _, our := range reflect.VisibleFields(ours) {
		if !our.Anonymous && !known[our.Name] {
			t.Errorf("%s.%s is not in the model", path, our.Name)
		}
	}
}

// The two orders in which clients send elements, with the empty elements Terraform sends.
const cliOrder = `<?xml version="1.0"?>
<DistributionConfig xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/">
 <CallerReference>one</CallerReference>
 <Aliases><Quantity>1</Quantity><Items><CNAME>files.example.com</CNAME></Items></Aliases>
 <DefaultRootObject/>
 <Origins><Quantity>1</Quantity><Items><Origin>
  <Id>bucket</Id><DomainName>uploads.s3.us-east-1.amazonaws.com</DomainName><OriginPath/>
  <CustomHeaders><Quantity>0</Quantity></CustomHeaders>
  <S3OriginConfig><OriginAccessIdentity/></S3OriginConfig>
  <OriginAccessControlId>E1WU75HU7VTXL4</OriginAccessControlId>
 </Origin></Items></Origins>
 <DefaultCacheBehavior>
  <TargetOriginId>bucket</TargetOriginId>
  <TrustedKeyGroups><Enabled>true</Enabled><Quantity>1</Quantity><Items><KeyGroup>dd842b0c</KeyGroup></Items></TrustedKeyGroups>
  <ViewerProtocolPolicy>redirect-to-https</ViewerProtocolPolicy>
  <CachePolicyId>658327ea-f89d-4fab-a63d-7e88639e58f6</CachePolicyId>
 </DefaultCacheBehavior>
 <CacheBehaviors><Quantity>1</Quantity><Items><CacheBehavior>
  <PathPattern>/public/*</PathPattern><TargetOriginId>bucket</TargetOriginId>
  <ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy>
  <CachePolicyId>658327ea-f89d-4fab-a63d-7e88639e58f6</CachePolicyId>
 </CacheBehavior></Items></CacheBehaviors>
 <Comment>c</Comment><Enabled>true</Enabled>
</DistributionConfig>`

const alphabetical = `<DistributionConfig xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/">
 <Aliases><Items><CNAME>files.example.com</CNAME></Items><Quantity>1</Quantity></Aliases>
 <CacheBehaviors><Items><CacheBehavior>
  <CachePolicyId>658327ea-f89d-4fab-a63d-7e88639e58f6</CachePolicyId><FieldLevelEncryptionId/>
  <LambdaFunctionAssociations><Items/><Quantity>0</Quantity></LambdaFunctionAssociations>
  <PathPattern>/public/*</PathPattern><TargetOriginId>bucket</TargetOriginId>
  <ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy>
 </CacheBehavior></Items><Quantity>1</Quantity></CacheBehaviors>
 <CallerReference>one</CallerReference><Comment>c</Comment><ContinuousDeploymentPolicyId/>
 <DefaultCacheBehavior>
  <CachePolicyId>658327ea-f89d-4fab-a63d-7e88639e58f6</CachePolicyId><Compress/><OriginRequestPolicyId/>
  <TargetOriginId>bucket</TargetOriginId>
  <TrustedKeyGroups><Enabled>true</Enabled><Items><KeyGroup>dd842b0c</KeyGroup></Items><Quantity>1</Quantity></TrustedKeyGroups>
  <ViewerProtocolPolicy>redirect-to-https</ViewerProtocolPolicy>
 </DefaultCacheBehavior>
 <Enabled>true</Enabled>
 <Origins><Items><Origin>
  <CustomHeaders><Quantity>0</Quantity></CustomHeaders><DomainName>uploads.s3.us-east-1.amazonaws.com</DomainName>
  <Id>bucket</Id><OriginAccessControlId>E1WU75HU7VTXL4</OriginAccessControlId>
  <S3OriginConfig><OriginAccessIdentity/></S3OriginConfig>
 </Origin></Items><Quantity>1</Quantity></Origins>
 <WebACLId/>
</DistributionConfig>`

func TestElementOrderAndEmptyElementsDoNotMatter(t *testing.T) {
	var a, b DistributionConfig
	if err := xml.Unmarshal([]byte(cliOrder), &a); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal([]byte(alphabetical), &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("one document in two orders differs:\n%+v\n%+v", a, b)
	}
	if got := a.CacheBehaviors.Items[0].PathPattern + a.CacheBehaviors.Items[0].TargetOriginId; got != "/public/*bucket" {
		t.Errorf("the behavior reads %q", got)
	}
	if err := a.Complete().Validate(); err != nil {
		t.Error(err)
	}
}

// Terraform reads these groups without asking whether they are there.
func TestGroupsAreAnsweredThoughEmpty(t *testing.T) {
	b, err := xml.Marshal(DistributionConfig{}.Complete())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"<Aliases><Quantity>0</Quantity>", "<OriginGroups><Quantity>0</Quantity>", "<CacheBehaviors><Quantity>0</Quantity>",
		"<CustomErrorResponses><Quantity>0</Quantity>", "<Logging><Enabled>false</Enabled>",
		"<Restrictions><GeoRestriction><RestrictionType>none</RestrictionType><Quantity>0</Quantity>",
		"<ViewerCertificate><CloudFrontDefaultCertificate>true</CloudFrontDefaultCertificate>", "<Comment></Comment>",
		"<PriceClass>PriceClass_All</PriceClass>", "<HttpVersion>http2</HttpVersion>", "<WebACLId></WebACLId>",
		"<TrustedSigners><Enabled>false</Enabled><Quantity>0</Quantity>", "<TrustedKeyGroups><Enabled>false</Enabled><Quantity>0</Quantity>",
		"<LambdaFunctionAssociations><Quantity>0</Quantity>", "<FunctionAssociations><Quantity>0</Quantity>",
		"<AllowedMethods><Quantity>2</Quantity><Items><Method>GET</Method><Method>HEAD</Method></Items>" +
			"<CachedMethods><Quantity>2</Quantity><Items><Method>GET</Method><Method>HEAD</Method></Items>",
		"<GrpcConfig><Enabled>false</Enabled>",
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the answer lacks %s", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", b)
	}
}

// code is the error's code, "" for none, and a failure for an error that has none.
func code(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var fault *Error
	if !errors.As(err, &fault) {
		t.Fatalf("%v (%T) has no code", err, err)
	}
	if fault.Message == "" || strings.Contains(fault.Message, "%!") {
		t.Errorf("%s says %q", fault.Code, fault.Message)
	}
	return fault.Code
}

func FuzzDistributionConfig(f *testing.F) {
	f.Add([]byte(cliOrder))
	f.Add([]byte(alphabetical))
	f.Fuzz(func(t *testing.T, in []byte) {
		var first, second DistributionConfig
		if xml.Unmarshal(in, &first) != nil {
			return
		}
		b, err := xml.Marshal(first)
		if err != nil {
			t.Fatalf("read, and cannot be written: %v", err)
		}
		if err := xml.Unmarshal(b, &second); err != nil {
			t.Fatalf("written, and cannot be read: %v\n%s", err, b)
		}
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("changed on the way:\n%+v\n%+v", first, second)
		}
		var third DistributionConfig
		if b, err = json.Marshal(first); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &third); err != nil || !reflect.DeepEqual(first, third) {
			t.Fatalf("changed in JSON (%v):\n%+v\n%+v", err, first, third)
		}
		whole := first.Complete()
		if again := whole.Complete(); !reflect.DeepEqual(whole, again) {
			t.Fatalf("completing twice is not completing once:\n%+v\n%+v", whole, again)
		}
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("completing changed the original:\n%+v\n%+v", first, second)
		}
		// What passes is safe to serve by: never a list of key groups that is switched off.
		if whole.Validate() == nil {
			for _, b := range append([]DefaultCacheBehavior{whole.DefaultCacheBehavior}, behaviors(whole)...) {
				if b.TrustedKeyGroups.Enabled != (len(b.TrustedKeyGroups.Items) > 0) || b.TrustedKeyGroups.Quantity != len(b.TrustedKeyGroups.Items) {
					t.Fatalf("passed with %+v", b.TrustedKeyGroups)
				}
			}
		}
	})
}

func behaviors(c DistributionConfig) []DefaultCacheBehavior {
	var out []DefaultCacheBehavior
	for _, b := range c.CacheBehaviors.Items {
		out = append(out, b.DefaultCacheBehavior)
	}
	return out
}
